use crate::Class;
use crate::detector::found;

fn kinds(text: &str) -> Vec<&'static str> {
    let of_class = found(text)
        .into_iter()
        .filter(|(class, ..)| *class == Class::Script);
    of_class.map(|(_, kind, _)| kind).collect()
}

#[test]
fn each_kind_is_found() {
    for (kind, texts) in [
        (
            "element that runs or loads something",
            &[
                "<script>alert(1)</script>",
                "<ScRiPt/x src=//a>",
                "%3Cscript%3E",
                "&lt;script&gt;",
                "\\u003cscript\\u003e",
                "＜script＞",
                "<x:script xmlns:x='http://www.w3.org/1999/xhtml'>",
                "< script >",
                "<iframe src=//a.example>",
                "<meta http-equiv=refresh content=0>",
                "<base href=//a.example>",
            ][..],
        ),
        (
            "event handler",
            &[
                "<img src=x onerror=alert(1)>",
                "<b onfocus = f()>",
                "\" onmouseover=\"f()",
                "'/onanything='x",
                "x onload=f()",
            ],
        ),
        (
            "address that is a program",
            &[
                "javascript:f()",
                "jav\tascript:f()",
                "java&#10;script:f()",
                "vbscript:f(1)",
                "data:text/html,x",
                "url(javascript:f)",
            ],
        ),
        (
            "attribute that runs or loads something",
            &["<a formaction=x>", "\" style=\"color:red"],
        ),
        (
            "style that runs something",
            &["x:expression(f())", "a{-moz-binding:url(x)}"],
        ),
        ("element left open", &["<img src=\"//a.example/?"]),
        ("element in UTF-7", &["+ADw-script+AD4-"]),
        (
            "declaration of a document",
            &[
                "<!ENTITY a SYSTEM 'file:///'>",
                "<!DOCTYPE a [<!ELEMENT a ANY>]>",
            ],
        ),
        (
            "call of what a page has",
            &[
                "alert(1)",
                "'-confirm`1`-'",
                "eval(name)",
                "new Function(x)()",
            ],
        ),
        (
            "member of a page's object",
            &[
                "document.cookie",
                "document/**/.cookie",
                "window['alert'](1)",
                "String.fromCharCode(97)",
                "[].constructor.constructor(x)",
            ],
        ),
        (
            "code of signs alone",
            &["[!+[]+!+[]]", "(![]+[])[+[]]+(![]+[])[+!+[]]"],
        ),
    ] {
        for text in texts {
            assert!(
                kinds(text).contains(&kind),
                "{kind}: {text}: {:?}",
                kinds(text)
            );
        }
    }
}

#[test]
fn what_people_write_is_let_alone() {
    for text in [
        "a < b and c > d",
        "I <3 you",
        "<b>bold</b> and <a href=\"https://example.com\">link</a>",
        "The window is open; the document, too.",
        "JavaScript: The Good Parts",
        "only=1",
        "on = off",
        "set the location. Then alert the others (all of them)",
        "Vec<Object>",
        "data: text follows",
        "style = plain",
        "behavior: good",
        "![image](a.png)",
        "a[0] + b[1]",
    ] {
        assert_eq!(kinds(text), [] as [&str; 0], "{text}");
    }
}
