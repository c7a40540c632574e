use super::*;

#[test]
fn tokens_are_taken_out_wherever_they_stand() {
    for (value, shown) in [
        ("nothing here", "nothing here"),
        ("eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "REDACTED"),
        ("a eyJhbGciOiJIUzI1NiJ9.e30.c2ln b", "a REDACTED b"),
        ("\"eyJ0\", 'eyJ1.a'", "\"REDACTED\", 'REDACTED'"),
        ("/reset/eyJhbGci.x.y?z", "/reset/REDACTED?z"),
        ("eyJ", "REDACTED"),
        ("", ""),
        // Encoded, in whole or in part, once or more often.
        ("%65yJhbGci.e30.c2ln", "REDACTED"),
        ("e%79Jhb.e30.c2ln x", "REDACTED x"),
        ("a/%65%79%4a%68.e30.c2ln?b", "a/REDACTED?b"),
        ("%2565yJh.e30.c2ln", "REDACTED"),
        ("%252565yJh.e30.c2ln", "REDACTED"),
        ("%25%36%35yJh.e30.c2ln", "REDACTED"),
        ("%65%79%4Ahb%2ee30%2Ec2ln", "REDACTED"),
        ("e%7", "e%7"),
        ("100% eyes %zz%", "100% eyes %zz%"),
        // An object that begins with a blank or a line break.
        ("eyAiYWxnIjoiRVMyNTYifQ.e30.c2ln", "REDACTED"),
        ("x ewogImFsZyI6ICJFUzI1NiJ9.e30.c2ln", "x REDACTED"),
        ("ewoNCiJhbGciOiJFUzI1NiJ9%2Ee30%2Ec2ln", "REDACTED"),
        ("/homework/monkeyApp/1.2", "/homework/monkeyApp/1.2"),
    ] {
        assert_eq!(tokens(value.as_bytes()), shown.as_bytes(), "{value}");
    }
}

/// The secret part of keys.
#[test]
fn keys_are_taken_out_wherever_they_stand() {
    let key = "89GpSVaiRjWJpLn8ndTAiFAAEVj3UhpKO";
    assert_eq!(key.len(), KEY_DIGITS);
    let (_, behind) = key.split_at(1);
    let (before, _) = key.split_at(KEY_DIGITS - 1);
    for (value, shown) in [
        ("/orders/pk_live_KEY", "/orders/pk_live_REDACTED"),
        (
            "/orders/pk_live_KEY/pk_KEY?x",
            "/orders/pk_live_REDACTED/pk_REDACTED?x",
        ),
        ("key is sk_KEY.", "key is sk_REDACTED."),
        ("pk%5flive%5FKEY", "pk%5flive%5FREDACTED"),
        ("pk%255FKEY", "pk%255FREDACTED"),
        ("pk_%4bKEX", "pk_REDACTED"),
        ("pk_KEYa", "pk_KEYa"),
        ("pk_KE", "pk_KE"),
        ("pk-KEY", "pk-KEY"),
        ("pk_KEX-1", "pk_KEX-1"),
        ("eyJ.e30.x pk_KEY", "REDACTED pk_REDACTED"),
    ] {
        let put = |text: &str| {
            let text = text.replace("KEY", key);
            text.replace("KEX", behind).replace("KE", before)
        };
        let (value, shown) = (put(value), put(shown));
        let found = String::from_utf8(tokens(value.as_bytes()).into_owned()).unwrap();
        assert_eq!(found, shown);
        assert!(!is_plain(value.as_bytes()) || found == value, "{value}");
    }
    let sent = format!("pk_live_{key}&a=pk_{key}");
    let shown = query(sent.as_bytes(), &ShownValues::Except(&[]));
    assert_eq!(shown, b"pk_live_REDACTED&a=pk_REDACTED");
}

/// Every text of up to four of the characters that matter, and each byte alone.
#[test]
fn what_is_plain_needs_nothing_done() {
    let mut texts: Vec<Vec<u8>> = (0..=u8::MAX).map(|byte| vec![byte]).collect();
    let mut longest = vec![Vec::new()];
    for _ in 0..4 {
        let each = |text: &Vec<u8>| {
            let with = |byte: &u8| [text.as_slice(), &[*byte]].concat();
            b"eywJAo0.%6\"\\;/ \n\x7f\xc3".iter().map(with).collect()
        };
        let longer: Vec<Vec<u8>> = longest.iter().flat_map(|t| -> Vec<_> { each(t) }).collect();
        texts.extend(longer.iter().cloned());
        longest = longer;
    }
    // Each text that has 31 to 36 letters and digits in it.
    for count in 31..=36 {
        let digits: String = "A1z".chars().cycle().take(count).collect();
        for (start, end) in [
            ("_", ""),
            ("k_", "/"),
            ("/k_", "_"),
            ("", "_x"),
            ("_", "_"),
            ("__", "-"),
        ] {
            texts.push(format!("{start}{digits}{end}").into_bytes());
        }
    }
    let mut plain = 0;
    for text in texts.iter().filter(|text| is_plain(text)) {
        plain += 1;
        for begin in ["", "aaaaaaaaaaaaaaaaaaaa.a."] {
            let whole = [begin.as_bytes(), text].concat();
            let mut quoted = String::new();
            super::super::line::quoted(&mut quoted, &path(&whole));
            assert_eq!(quoted.as_bytes(), [b"\"", &whole[..], b"\""].concat());
            assert_eq!(tokens(&whole), whole);
        }
    }
    assert!(plain > 10_000, "{plain}");
}

#[test]
fn queries_keep_their_names() {
    let secret = ["ssn".to_owned()];
    let all = b"page=2&access_token=abc&q=eyJh.b.c&flag&%74oken=x&SSN=1&=y";
    let names = query(all, &ShownValues::Names);
    assert_eq!(
        names,
        b"page=REDACTED&access_token=REDACTED&q=REDACTED&flag&%74oken=REDACTED&SSN=REDACTED&=REDACTED"
    );
    let shown = query(all, &ShownValues::Except(&secret));
    assert_eq!(
        shown,
        b"page=2&access_token=REDACTED&q=REDACTED&flag&%74oken=REDACTED&SSN=REDACTED&=y"
    );
}

#[test]
fn names_and_values_are_judged_as_they_are_decoded() {
    let secret = ["ssn".to_owned()];
    for (value, shown) in [
        ("qq=%65yJhbGci.e30.c2ln", "qq=REDACTED"),
        ("qq=%2565yJhbGci.e30.c2ln", "qq=REDACTED"),
        ("%70age=2", "%70age=2"),
        ("filter%5Bname%5D=a+b", "filter%5Bname%5D=a+b"),
        ("%2574oken=x", "%2574oken=REDACTED"),
        ("user%5Bssn%5D=1", "user%5Bssn%5D=REDACTED"),
        ("+ssn=1", "+ssn=REDACTED"),
        ("caf%C3%A9=1", "caf%C3%A9=REDACTED"),
        ("a=1;token=x", "a=1;token=REDACTED"),
        ("a=1;b=2&", "a=1;b=2&"),
        ("to=https%3A%2F%2Fa.example%2F%3Fcode%3Dx", "to=REDACTED"),
        (
            "to=https%253A%252F%252Fa.example%253Fa%253D1%2526token%253Dx",
            "to=REDACTED",
        ),
        (
            "to=https%3A%2F%2Fa.example%2F%3Fpage%3D2",
            "to=https%3A%2F%2Fa.example%2F%3Fpage%3D2",
        ),
        ("q=%7B%22password%22%3A%22x%22%7D", "q=REDACTED"),
        ("q={'ssn':1}", "q=REDACTED"),
        ("at=12:30", "at=12:30"),
        ("%65yJh.e30.c2ln", "REDACTED"),
        ("%65yJh.e30.c2ln&b", "REDACTED&b"),
    ] {
        let found = query(value.as_bytes(), &ShownValues::Except(&secret));
        assert_eq!(String::from_utf8(found).unwrap(), shown, "{value}");
    }
}

#[test]
fn paths_and_urls_hold_secrets_too() {
    for (value, shown) in [
        ("/a;jsessionid=1/b", "/a;jsessionid=REDACTED/b"),
        ("/a;v=1;%74oken=x", "/a;v=1;%74oken=REDACTED"),
        ("/a;b", "/a;b"),
        ("/%65yJh.e30.c2ln", "/REDACTED"),
    ] {
        assert_eq!(path(value.as_bytes()), shown.as_bytes(), "{value}");
    }
    let referer = b"https://a.example/b;sid=1?page=2&token=x";
    let of = |shown| String::from_utf8(url(referer, shown).into_owned()).unwrap();
    assert_eq!(
        of(Some(&ShownValues::Except(&[]))),
        "https://a.example/b;sid=1?page=2&token=REDACTED"
    );
    assert_eq!(
        of(Some(&ShownValues::Names)),
        "https://a.example/b;sid=1?page=REDACTED&token=REDACTED"
    );
    assert_eq!(of(None), "https://a.example/b;sid=1");
}

/// Each beginning would have the rest looked through: hours of work, if it were so.
#[test]
fn a_text_is_looked_through_once() {
    for start in ["eyA", "ewo%41", "%65yI"] {
        let words = start.repeat(1 << 14);
        assert_eq!(tokens(words.as_bytes()), words.as_bytes(), "{start}");
        let last = tokens(format!("{start}.a {words}/eyJh").as_bytes()).into_owned();
        assert!(last.ends_with(b"REDACTED"), "{start}");
    }
    let behind = "eyAa=b eyAiYWxnIjoiRVMyNTYifQ.e30.c2ln";
    assert_eq!(tokens(behind.as_bytes()), b"eyAa=b REDACTED".as_slice());
}

#[test]
fn decoding_ends() {
    let nested = "%".repeat(3000);
    assert_eq!(tokens(nested.as_bytes()), nested.as_bytes());
    let nested = format!("{}65yJh", "%25".repeat(1000));
    assert!(tokens(nested.as_bytes()).ends_with(b"REDACTED"));
}
