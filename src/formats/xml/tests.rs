use portcullis_wire::budget::{Share, reserve, used};

use super::*;

const LIMITS: XmlLimits = XmlLimits {
    depth: 64,
    attributes: 64,
    namespaces: 32,
    schema_locations: false,
    ..XmlLimits::GENEROUS
};

/// Notes what it is told, text that comes in several parts as one.
#[derive(Default)]
struct Told(Vec<String>);

impl XmlWatch for Told {
    fn begins(&mut self, depth: usize, name: XmlName<'_>) -> Result<(), XmlFault> {
        let [namespace, local] = [name.namespace, name.local].map(String::from_utf8_lossy);
        self.0.push(format!("{depth} <{{{namespace}}}{local}"));
        Ok(())
    }

    fn attribute(&mut self, name: XmlName<'_>, value: XmlText<'_>) {
        let [namespace, local] = [name.namespace, name.local].map(String::from_utf8_lossy);
        let value = String::from_utf8(value.decoded()).unwrap();
        self.0.push(format!("{{{namespace}}}{local}={value:?}"));
    }

    fn text(&mut self, depth: usize, text: XmlText<'_>) -> Result<(), XmlFault> {
        let text = String::from_utf8(text.decoded()).unwrap();
        let start = format!("{depth} ");
        match self
            .0
            .last_mut()
            .filter(|last| last.starts_with(&format!("{depth} '")))
        {
            Some(last) => last.push_str(&text),
            None => self.0.push(format!("{start}'{text}")),
        }
        Ok(())
    }

    fn ends(&mut self, depth: usize) -> Result<(), XmlFault> {
        self.0.push(format!("{depth} >"));
        Ok(())
    }
}

fn judged(text: &[u8]) -> Result<(), XmlFault> {
    check(text, &LIMITS).map_err(|error| error.fault)
}

fn told(text: &str) -> Vec<String> {
    let mut told = Told::default();
    watch(text.as_bytes(), &LIMITS, &mut told).unwrap();
    told.0
}

/// What a text comes to of which so many bytes come at a time.
fn in_pieces(text: &[u8], step: usize, limits: &XmlLimits) -> (Result<(), XmlError>, Vec<String>) {
    let (mut pieces, mut told, mut done) = (XmlPieces::new(*limits), Told::default(), 0);
    for end in (0..text.len()).step_by(step) {
        // Memory of its own, so that nothing can be read beyond it.
        let at_hand = text[done..end].to_vec();
        match pieces.more(&at_hand, &mut told) {
            Ok(more) => done += more,
            Err(error) => return (Err(error), told.0),
        }
    }
    (pieces.last(&text[done..], &mut told), told.0)
}

fn comes_to_the_same_in_pieces(text: &[u8], limits: &XmlLimits) {
    let mut told = Told::default();
    let whole = watch(text, limits, &mut told);
    for step in [1, 2, 3, 5, 16] {
        let (judged, by_pieces) = in_pieces(text, step, limits);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(judged, whole, "{shown} by {step}");
        // An end of line of two bytes may be cut in two.
        if whole.is_ok() && !text.contains(&b'\r') {
            assert_eq!(by_pieces, told.0, "{shown} by {step}");
        }
    }
}

const GOOD: &[&str] = &[
    "<a/>",
    "<a></a>",
    "<a ></a >",
    "\u{feff}<a/>",
    " \n<a/>\n ",
    "<!-- x --><a/><!-- - -y -->",
    "<?xml version='1.0'?><a/>",
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a/>",
    "<?xml\tversion = '1.0'\n encoding='UTF-8' standalone = 'yes' ?><a/>",
    "\u{feff}<?xml version='1.0' standalone='no'?><a/>",
    "<a b='c' d=\"e'f\" g = '\"'/>",
    "<a b='&lt;&gt;&amp;&apos;&quot;&#60;&#x1F600;&#0009;'>&lt;>&amp;]]&gt; ] ]] ]>x</a>",
    "<a><![CDATA[<b>&x;]]]]><![CDATA[>]]></a>",
    "<a>é\u{1f600}\u{fffd}\u{85}\u{2028}\u{7f}</a>",
    "<é·/>",
    "<_a-b.c1/>",
    "<\u{10000}\u{effff}/>",
    "<a xmlns='urn:x'><b xmlns=''/><c/></a>",
    "<p:a xmlns:p='urn:x' p:b='1' b='2'/>",
    "<a xmlns:p='urn:x'><p:b xmlns:p='urn:y'><p:c/></p:b><p:d/></a>",
    "<a xml:lang='en' xml:space='preserve'/>",
    "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:id='x'/>",
    "<a xmlns:p='urn:x' xmlns:q='urn:y' p:b='' q:b=''/>",
    "<a xmlns='urn:x' xmlns:p='urn:x' b='' p:b=''/>",
    "<a xmlns:p='urn:x?a=1&amp;b=2' p:c=''/>",
    "<a xmlns:p='urn:x'><b xmlns:p='urn:y' xmlns:q='urn:x' p:c='' q:c=''/></a>",
    "<a b='1\n2'>1\r\n2</a>",
    "<xmlx/>",
];

#[test]
fn what_is_well_formed_passes() {
    for text in GOOD {
        assert_eq!(judged(text.as_bytes()), Ok(()), "{text}");
        comes_to_the_same_in_pieces(text.as_bytes(), &LIMITS);
    }
}

const BAD: &[(&str, XmlFault)] = &[
    ("", XmlFault::Syntax),
    (" ", XmlFault::Syntax),
    ("\u{feff}", XmlFault::Syntax),
    ("x", XmlFault::Syntax),
    ("<", XmlFault::Syntax),
    ("<a", XmlFault::Syntax),
    ("<a>", XmlFault::Syntax),
    ("<a></b>", XmlFault::Syntax),
    ("<a></a", XmlFault::Syntax),
    ("<a></ab>", XmlFault::Syntax),
    ("<ab></a>", XmlFault::Syntax),
    ("</a>", XmlFault::Syntax),
    ("<a/></a>", XmlFault::Syntax),
    ("<a/><b/>", XmlFault::Syntax),
    ("<a/>x", XmlFault::Syntax),
    ("x<a/>", XmlFault::Syntax),
    ("<a/>&#32;", XmlFault::Syntax),
    ("<a/><![CDATA[ ]]>", XmlFault::Syntax),
    ("\u{feff}\u{feff}<a/>", XmlFault::Syntax),
    ("< a/>", XmlFault::Syntax),
    ("<a / >", XmlFault::Syntax),
    ("<a/ >", XmlFault::Syntax),
    ("<1a/>", XmlFault::Syntax),
    ("<-a/>", XmlFault::Syntax),
    ("<·/>", XmlFault::Syntax),
    ("<a×/>", XmlFault::Syntax),
    ("<:a/>", XmlFault::Namespace),
    ("<a:/>", XmlFault::Namespace),
    ("<p:1 xmlns:p='u'/>", XmlFault::Namespace),
    ("<a b/>", XmlFault::Syntax),
    ("<a b=c/>", XmlFault::Syntax),
    ("<a b='c/>", XmlFault::Syntax),
    ("<a b='<'/>", XmlFault::Syntax),
    ("<a b='1'c='2'/>", XmlFault::Syntax),
    ("<a b='1'/ c='2'>", XmlFault::Syntax),
    ("<a>]]></a>", XmlFault::Syntax),
    ("<a>]]]></a>", XmlFault::Syntax),
    ("<a>\u{1}</a>", XmlFault::Syntax),
    ("<a>\u{fffe}</a>", XmlFault::Syntax),
    ("<a>\u{ffff}</a>", XmlFault::Syntax),
    ("<a b='\u{b}'/>", XmlFault::Syntax),
    ("<a><!-- \u{ffff} --></a>", XmlFault::Syntax),
    ("<a><![CDATA[\u{2}]]></a>", XmlFault::Syntax),
    ("<a><!-- a -- b --></a>", XmlFault::Syntax),
    ("<a><!-- a ---></a>", XmlFault::Syntax),
    ("<a><!-- <!-- a --> --></a>", XmlFault::Syntax),
    ("<!-->", XmlFault::Syntax),
    ("<a><![cdata[]]></a>", XmlFault::Syntax),
    ("<a><![CDATA[]]</a>", XmlFault::Syntax),
    ("<a>&</a>", XmlFault::Syntax),
    ("<a>& b</a>", XmlFault::Syntax),
    ("<a>&lt</a>", XmlFault::Syntax),
    ("<a>&;</a>", XmlFault::Syntax),
    ("<a>&#;</a>", XmlFault::Syntax),
    ("<a>&#x;</a>", XmlFault::Syntax),
    ("<a>&#X41;</a>", XmlFault::Syntax),
    ("<a>&#a;</a>", XmlFault::Syntax),
    ("<a>&#+65;</a>", XmlFault::Syntax),
    ("<a>&#0;</a>", XmlFault::Syntax),
    ("<a>&#1;</a>", XmlFault::Syntax),
    ("<a>&#xD800;</a>", XmlFault::Syntax),
    ("<a>&#xFFFE;</a>", XmlFault::Syntax),
    ("<a>&#x110000;</a>", XmlFault::Syntax),
    (
        "<a>&#x0000000000000000000000000000000041;</a>",
        XmlFault::Syntax,
    ),
    ("<a>&nbsp;</a>", XmlFault::Entity),
    ("<a>&xxe;</a>", XmlFault::Entity),
    ("<a b='&my-own.entity_1;'/>", XmlFault::Entity),
    (
        "<a>&a-name-of-many-bytes-and-then-some-more;</a>",
        XmlFault::Entity,
    ),
    ("<a>&LT;</a>", XmlFault::Entity),
    ("<!DOCTYPE a><a/>", XmlFault::Doctype),
    (
        "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
        XmlFault::Doctype,
    ),
    ("<!doctype a><a/>", XmlFault::Syntax),
    ("<a><!ENTITY x 'y'></a>", XmlFault::Syntax),
    ("<a><?php x ?></a>", XmlFault::ProcessingInstruction),
    (
        "<?xml-stylesheet href='x'?><a/>",
        XmlFault::ProcessingInstruction,
    ),
    (
        " <?xml version='1.0'?><a/>",
        XmlFault::ProcessingInstruction,
    ),
    ("<a/><?x?>", XmlFault::ProcessingInstruction),
    (
        "<?xml version='1.0'?><?xml version='1.0'?><a/>",
        XmlFault::ProcessingInstruction,
    ),
    ("<?xml?><a/>", XmlFault::Syntax),
    ("<?xml ?><a/>", XmlFault::Syntax),
    ("<?xml encoding='utf-8'?><a/>", XmlFault::Syntax),
    (
        "<?xml version='1.0' standalone='yes' encoding='utf-8'?><a/>",
        XmlFault::Syntax,
    ),
    (
        "<?xml version='1.0' standalone='YES'?><a/>",
        XmlFault::Syntax,
    ),
    ("<?xml version='1.0' version='1.0'?><a/>", XmlFault::Syntax),
    (
        "<?xml version='1.0'encoding='utf-8'?><a/>",
        XmlFault::Syntax,
    ),
    ("<?xml version='1.0' x='y'?><a/>", XmlFault::Syntax),
    ("<?xml version='1.0' ><a/>", XmlFault::Syntax),
    ("<?XML version='1.0'?><a/>", XmlFault::ProcessingInstruction),
    ("<?xml version='1.1'?><a/>", XmlFault::Version),
    ("<?xml version='2.0'?><a/>", XmlFault::Version),
    (
        "<?xml version='1.0' encoding='iso-8859-1'?><a/>",
        XmlFault::Encoding,
    ),
    (
        "<?xml version='1.0' encoding='UTF-7'?><a>+ADw-b+AD4-</a>",
        XmlFault::Encoding,
    ),
    (
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        XmlFault::Encoding,
    ),
    (
        "<?xml version='1.0' encoding='utf8'?><a/>",
        XmlFault::Encoding,
    ),
    ("<?xml version='1.0' encoding=''?><a/>", XmlFault::Encoding),
    ("+ADw-a/+AD4-", XmlFault::Syntax),
    ("<p:a/>", XmlFault::Namespace),
    ("<a p:b='1'/>", XmlFault::Namespace),
    ("<a><b xmlns:p='u'/><p:c/></a>", XmlFault::Namespace),
    ("<a:b:c xmlns:a='u'/>", XmlFault::Namespace),
    ("<a xmlns:p=''/>", XmlFault::Namespace),
    ("<a xmlns:xml='urn:x'/>", XmlFault::Namespace),
    (
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        XmlFault::Namespace,
    ),
    (
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        XmlFault::Namespace,
    ),
    ("<a xmlns:xmlns='urn:x'/>", XmlFault::Namespace),
    (
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        XmlFault::Namespace,
    ),
    (
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        XmlFault::Namespace,
    ),
    (
        "<a xmlns:p='http://www.w3.org/2000/xml&#110;s/'/>",
        XmlFault::Namespace,
    ),
    ("<a xml:xmlns='urn:x'/>", XmlFault::Namespace),
    ("<xmlns:a/>", XmlFault::Namespace),
    ("<a b='1' b='2'/>", XmlFault::DuplicateAttribute),
    ("<a xmlns='u' xmlns='v'/>", XmlFault::DuplicateAttribute),
    ("<a xmlns:p='u' xmlns:p='u'/>", XmlFault::DuplicateAttribute),
    (
        "<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
        XmlFault::DuplicateAttribute,
    ),
    (
        "<a xmlns:p='u v' xmlns:q='u&#32;v' p:b='' q:b=''/>",
        XmlFault::DuplicateAttribute,
    ),
    (
        "<a xmlns:p='u'><b xmlns:q='u' p:b='' q:b=''/></a>",
        XmlFault::DuplicateAttribute,
    ),
    (
        "<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='/etc/passwd'/>",
        XmlFault::Inclusion,
    ),
    (
        "<a><include xmlns='http://www.w3.org/2001/XIn&#99;lude'/></a>",
        XmlFault::Inclusion,
    ),
    (
        "<a><f xmlns='http://www.w3.org/2003/XInclude'/></a>",
        XmlFault::Inclusion,
    ),
    (
        "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:schemaLocation='u http://x/y.xsd'/>",
        XmlFault::SchemaLocation,
    ),
    (
        "<a xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:noNamespaceSchemaLocation='y.xsd'/>",
        XmlFault::SchemaLocation,
    ),
];

#[test]
fn what_is_not_does_not() {
    for (text, fault) in BAD {
        assert_eq!(judged(text.as_bytes()), Err(*fault), "{text}");
        comes_to_the_same_in_pieces(text.as_bytes(), &LIMITS);
    }
}

#[test]
fn other_encodings_are_told_whatever_they_say() {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        let units = text.encode_utf16();
        let bytes = units.map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        });
        bytes.flatten().collect()
    };
    for text in [
        "<a/>",
        "<",
        "<?xml version='1.0' encoding='utf-8'?><a/>",
        "\u{feff}<a/>",
    ] {
        for big in [false, true] {
            assert_eq!(judged(&utf16(text, big)), Err(XmlFault::Encoding), "{text}");
            comes_to_the_same_in_pieces(&utf16(text, big), &LIMITS);
        }
    }
    for (bytes, fault) in [
        (&b"\0\0\0<\0\0\0a"[..], XmlFault::Encoding),
        (b"<\0\0\0a\0\0\0", XmlFault::Encoding),
        (b"\xff\xfe\0\0<\0\0\0", XmlFault::Encoding),
        (b"<a>\xff</a>", XmlFault::Utf8),
        (b"<a>\xc0\xbc</a>", XmlFault::Utf8),
        (b"<a>\xed\xa0\x80</a>", XmlFault::Utf8),
        (b"<a>\xf4\x90\x80\x80</a>", XmlFault::Utf8),
        (b"<a>caf\xe9</a>", XmlFault::Utf8),
        (b"<a>\xe2\x82", XmlFault::Utf8),
        (b"<a b='\xe9'/>", XmlFault::Utf8),
        // What stands before it counts first.
        (b"<a></b>\xff", XmlFault::Syntax),
        (
            b"<?xml version='1.0' encoding='latin1'?><a>\xe9</a>",
            XmlFault::Encoding,
        ),
        // EBCDIC
        (b"\x4c\x6f\xa7\x94\x93", XmlFault::Syntax),
    ] {
        assert_eq!(judged(bytes), Err(fault), "{bytes:?}");
        comes_to_the_same_in_pieces(bytes, &LIMITS);
    }
}

#[test]
fn a_fault_has_its_place() {
    for (text, at) in [
        ("<a><!DOCTYPE a></a>", 3),
        ("<a></b>", 3),
        ("<a>é&x;</a>", 5),
        ("<a b='1' c='2' b='3'/>", 15),
        ("<a>]]></a>", 3),
        ("<a>", 3),
        ("<a>\u{1}", 3),
        ("<a p:b=''/>", 3),
    ] {
        assert_eq!(
            check(text.as_bytes(), &LIMITS).unwrap_err().at,
            at,
            "{text}"
        );
    }
    let far = format!("<a>{}<b></c></a>", "x".repeat(100));
    let (judged, _) = in_pieces(far.as_bytes(), 7, &LIMITS);
    assert_eq!(
        judged,
        Err(XmlError {
            fault: XmlFault::Syntax,
            at: 106
        })
    );
}

#[test]
fn limits_are_met_and_not_passed() {
    type Change = fn(&mut XmlLimits, usize);
    let cases: &[(Change, &str, usize, XmlFault)] = &[
        (
            |limits, most| limits.depth = most,
            "<a><b><c/></b><b/></a>",
            3,
            XmlFault::Depth,
        ),
        (
            |limits, most| limits.elements = most,
            "<a><b><c/></b><b/></a>",
            4,
            XmlFault::Elements,
        ),
        (
            |limits, most| limits.attributes = most,
            "<a xmlns='u' b='' c=''/>",
            3,
            XmlFault::Attributes,
        ),
        (
            |limits, most| limits.namespaces = most,
            "<a xmlns='u'><b xmlns:p='v'/><c xmlns:q='w'/></a>",
            2,
            XmlFault::Namespaces,
        ),
        (
            |limits, most| limits.name_bytes = most,
            "<p:añ xmlns:p='u'/>",
            7,
            XmlFault::NameBytes,
        ),
        (
            |limits, most| limits.text_bytes = most,
            "<a>12<!-- x -->3&lt;<![CDATA[89]]>0<b/>1</a>",
            10,
            XmlFault::TextBytes,
        ),
        (
            |limits, most| limits.attribute_bytes = most,
            "<a b='12&lt;é'/>",
            8,
            XmlFault::AttributeBytes,
        ),
    ];
    for (change, text, most, fault) in cases {
        let with = |most: usize| {
            let mut limits = LIMITS;
            change(&mut limits, most);
            limits
        };
        for each in 0..=*most + 1 {
            let found = check(text.as_bytes(), &with(each)).map_err(|error| error.fault);
            let expected = if each < *most { Err(*fault) } else { Ok(()) };
            assert_eq!(found, expected, "{text} {each}");
            comes_to_the_same_in_pieces(text.as_bytes(), &with(each));
        }
    }
    let quiet = XmlLimits {
        comments: false,
        ..LIMITS
    };
    let found = check(b"<a><!-- --></a>", &quiet).unwrap_err();
    assert_eq!((found.fault, found.at), (XmlFault::Comment, 3));
}

#[test]
fn what_stands_in_it_is_told_as_it_is_meant() {
    assert_eq!(
        told(
            "<p:a xmlns:p='urn:x' b='1&#10;2\n3\r\n4&amp;' p:c='\"'>x&lt;\r\ny<!-- z --><![CDATA[&lt;\r]]><d/></p:a>"
        ),
        [
            "0 <{urn:x}a",
            "{}b=\"1\\n2 3 4&\"",
            "{urn:x}c=\"\\\"\"",
            "1 'x<\ny&lt;\n",
            "1 <{}d",
            "1 >",
            "0 >",
        ]
    );
    assert_eq!(
        told("<a xmlns='u'><b xmlns='' c=''/></a>"),
        ["0 <{u}a", "1 <{}b", "{}c=\"\"", "1 >", "0 >"]
    );
    let mut shown = Vec::new();
    walk(
        b"<a b='1'>2<c d='&#51;'/><![CDATA[4]]></a>",
        &LIMITS,
        &mut |text| {
            shown.extend(text.decoded());
        },
    )
    .unwrap();
    assert_eq!(shown, b"1234");
}

#[test]
fn what_is_kept_is_asked_for_and_given_back() {
    let deep = "<a xmlns:b='c'>".repeat(60);
    let mut pieces = XmlPieces::new(XmlLimits {
        namespaces: 100,
        ..LIMITS
    });
    assert_eq!(pieces.more(deep.as_bytes(), &mut ()), Ok(deep.len()));
    assert!(used(Share::Bodies) > 60 * 3);
    drop(pieces);
    assert_eq!(used(Share::Bodies), 0);
    let spent = reserve(Share::Bodies, Share::Bodies.most() - 100).unwrap();
    assert_eq!(judged(deep.as_bytes()), Err(XmlFault::Memory));
    drop(spent);
}

#[test]
fn attributes_are_compared_where_there_are_many() {
    let many = |last: usize| {
        let names: String = (0..60).map(|n| format!(" a{n}=''")).collect();
        format!("<x{names} a{last}=''/>")
    };
    assert_eq!(judged(many(60).as_bytes()), Ok(()));
    for last in [0, 31, 59] {
        assert_eq!(
            judged(many(last).as_bytes()),
            Err(XmlFault::DuplicateAttribute)
        );
    }
}
