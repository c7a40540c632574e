//! What `deny_patterns` looks through: texts with as many beginnings of patterns as fit.

use portcullis_tests::random::Random;
use portcullis_tests::wire::Request;
use serde_json::json;

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{LONGEST_BODY, LONGEST_FIELD, family, field, fields, get, open, post, text};

const TEXTS: &[&str] = &[
    "letters",
    "words",
    "quotation marks before `or`",
    "quotation marks",
    "`<` and blanks",
    "handlers without an end",
    "dots",
    "`${`",
    "`{{` of words",
    "`;` and blanks",
    "`union` and comments",
    "`or` and words",
    "`select` and names",
    "`insert into`",
    "other alphabets",
    "percent signs, encoded again",
    "HTML entities",
    "escapes of JavaScript",
    "base64",
    "`$(` and `;`",
    "`../`",
    "`<?` and names of PHP",
    "`java.lang.`",
    "`require(` and `process.`",
    "comments of SQL",
    "any of these",
];

pub(super) fn all() -> Vec<Family> {
    let of = |policy, places: &'static [&'static str], most| {
        family(
            policy,
            open(json!({ "deny_patterns": { "in": places, "mode": "enforce" } })),
            vec![
                Parameter::kind("text", TEXTS),
                Parameter::size("bytes", 100, most),
                Parameter::size("in so many", 1, 90),
            ],
            move |shape| request(places[0], shape),
        )
    };
    vec![
        of("`deny_patterns`, the path", &["path"], LONGEST_FIELD),
        of("`deny_patterns`, the query", &["query"], LONGEST_FIELD),
        of(
            "`deny_patterns`, header fields",
            &["headers"],
            LONGEST_FIELD,
        ),
        of("`deny_patterns`, JSON", &["json"], 64 << 10),
        of("`deny_patterns`, a form", &["form"], 64 << 10),
        of("`deny_patterns`, a form of parts", &["multipart"], 56 << 10),
        of("`deny_patterns`, cookies", &["cookies"], LONGEST_FIELD),
        family(
            "`deny_patterns`, everywhere",
            open(json!({ "deny_patterns": { "mode": "enforce" } })),
            vec![
                Parameter::kind("text", TEXTS),
                Parameter::size("bytes", 100, 64 << 10),
                Parameter::size("in so many", 1, 90),
            ],
            everywhere,
        ),
        family(
            "`deny_patterns`, an expression of the document's, 1 MB",
            open(json!({ "deny_patterns": {
                "classes": [], "max_bytes": LONGEST_BODY, "mode": "enforce",
                "patterns": [{ "name": "own", "regex": "(?:[a-z]{1,200}x|[a-z0-9]{1,200}y)$" }],
            } })),
            vec![
                Parameter::kind("text", TEXTS),
                Parameter::size("bytes", 100, LONGEST_BODY),
                Parameter::size("in so many", 1, 90),
            ],
            |shape| request("json", shape),
        ),
    ]
}

fn hostile(kind: usize, bytes: usize, random: &mut Random) -> String {
    let mut piece = |kind: usize| -> String {
        let letter = char::from(b'a' + random.below(26) as u8);
        match kind {
            0 => letter.to_string(),
            1 => format!("{letter}ord, and a note; "),
            2 => "' or ".to_owned(),
            3 => "'".to_owned(),
            4 => "< ".to_owned(),
            5 => " onabcdefghijklmnopqrstuv".to_owned(),
            6 => ".".to_owned(),
            7 => "${".to_owned(),
            8 => format!("{{{{{letter}"),
            9 => "; ".to_owned(),
            10 => "union/* */".to_owned(),
            11 => format!("or {letter} "),
            12 => "select a,".to_owned(),
            13 => "insert into a ".to_owned(),
            15 => "%2525".to_owned(),
            16 => "&#x26;".to_owned(),
            17 => format!("\\u005c{letter}"),
            18 => "YWFh".to_owned(),
            19 => "$(;|".to_owned(),
            20 => "../".to_owned(),
            21 => "<? eval ".to_owned(),
            22 => "java.lang.".to_owned(),
            23 => "require( process.".to_owned(),
            24 => "/**/or/*".to_owned(),
            _ => char::from_u32(0x4e00 + random.below(20_000) as u32)
                .unwrap_or('x')
                .to_string(),
        }
    };
    let mixed = &mut Random(bytes as u64 + 1);
    text(bytes, || match kind {
        25 => piece(mixed.below(25)),
        kind => piece(kind),
    })
}

fn request(place: &str, shape: &Shape<'_>) -> Request {
    let (kind, bytes, count) = (shape.get(0), shape.get(1), shape.get(2));
    let random = &mut Random(shape.seed);
    let each = bytes / count;
    match place {
        "path" => get(&format!("/0/{}", in_path(&hostile(kind, bytes, random)))),
        "query" => {
            let mut pair = || format!("a={}", in_query(&hostile(kind, each, random)));
            let pairs: Vec<String> = (0..count).map(|_| pair()).collect();
            let query = pairs.join("&");
            get(&format!("/0?{}", &query[..query.len().min(LONGEST_FIELD)]))
        }
        "headers" => Request {
            headers: fields(count, bytes, |bytes| {
                hostile(kind, bytes, random).trim().to_owned()
            }),
            ..get("/0")
        },
        "cookies" => {
            let mut cookie = |_| format!("a={}", hostile(kind, each, random).replace(';', " "));
            let cookies: Vec<String> = (0..count).map(&mut cookie).collect();
            let line = cookies.join("; ");
            let end = line.floor_char_boundary(LONGEST_FIELD);
            Request {
                headers: vec![field("cookie", line[..end].trim())],
                ..get("/0")
            }
        }
        "multipart" => {
            let head = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n";
            let mut part = |_| format!("--x{head}{}\r\n", hostile(kind, each, random));
            let parts: String = (0..count).map(&mut part).collect();
            let body = format!("{parts}--x--\r\n");
            post("/0", "multipart/form-data; boundary=x", body.into_bytes())
        }
        "json" => {
            let each = each.saturating_sub(4);
            let texts: Vec<String> = (0..count).map(|_| hostile(kind, each, random)).collect();
            let mut body = json!(texts).to_string();
            if body.len() > bytes {
                body = json!([hostile(kind, bytes / 2, random)]).to_string();
            }
            post("/0", "application/json", body.into_bytes())
        }
        _ => {
            let texts: Vec<String> = (0..count)
                .map(|_| {
                    format!(
                        "a={}",
                        hostile(kind, each.saturating_sub(3), random).replace('&', "")
                    )
                })
                .collect();
            post(
                "/0",
                "application/x-www-form-urlencoded",
                texts.join("&").into_bytes(),
            )
        }
    }
}

/// The head full of it, and the body too.
fn everywhere(shape: &Shape<'_>) -> Request {
    let body = request("json", shape);
    let values = [shape.get(0), shape.get(1).min(LONGEST_FIELD), shape.get(2)];
    let head = Shape {
        values: &values,
        seed: shape.seed + 1,
    };
    let mut headers = request("headers", &head).headers;
    headers.push(field("content-type", "application/json"));
    Request { headers, ..body }
}

/// As it may stand in a path: what paths refuse is encoded or left out.
fn in_path(text: &str) -> String {
    let mut path = String::new();
    for byte in text.bytes() {
        match byte {
            b';' | b'/' | b'\\' | b'%' => {}
            b'.' if path.ends_with('/') => {}
            b'a'..=b'z' | b'\'' | b'.' | b'$' | b'*' | b',' => path.push(char::from(byte)),
            _ => path += &format!("%{byte:02x}"),
        }
    }
    path.truncate(path.len().min(LONGEST_FIELD) / 3 * 3);
    let whole = path.rfind('%').filter(|at| path.len() - at < 3);
    path.truncate(whole.unwrap_or(path.len()));
    path
}

fn in_query(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => "+".to_owned(),
            b'#' | b'&' | b'%' | b'+' | 0x7f.. | 0..=0x1f => format!("%{byte:02x}"),
            byte => char::from(byte).to_string(),
        })
        .collect()
}
