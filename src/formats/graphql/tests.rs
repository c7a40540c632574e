use super::*;
use portcullis_wire::effort::Effort;

const TOKENS: u32 = 100_000;

fn parse(text: &str) -> Result<Document<'_>, DocumentFault> {
    let bounds = DocumentBounds {
        tokens: TOKENS,
        arguments: &[],
    };
    Document::parse(text.as_bytes(), bounds, &Effort::new(10_000_000))
}

fn fault(text: &str) -> Option<DocumentFault> {
    parse(text).err()
}

/// What the first operation comes to.
fn totals(text: &str) -> Totals {
    let document = parse(text).expect(text);
    let first = &document.operations()[0];
    document
        .measure(first, None, &[], &Effort::new(10_000_000))
        .unwrap()
}

fn roots(text: &str) -> Vec<String> {
    let document = parse(text).expect(text);
    let mut names = Vec::new();
    for operation in document.operations() {
        document
            .root_fields(operation, &Effort::new(10_000), &mut |name| {
                names.push(String::from_utf8_lossy(name).into_owned());
                Ok(())
            })
            .unwrap();
    }
    names
}

fn table(default: u64, fields: &[(&str, u64)]) -> CostTable {
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(name, cost)| (Box::from(*name), *cost))
        .collect();
    fields.sort();
    CostTable {
        default,
        depth_factor: 1,
        fields,
        root_fields: Vec::new(),
        list_arguments: vec!["first".into(), "last".into()],
    }
}

fn cost(text: &str, table: &CostTable, variables: &[(&str, Option<Option<u64>>)]) -> Option<u64> {
    let bounds = DocumentBounds {
        tokens: TOKENS,
        arguments: &table.list_arguments,
    };
    let effort = Effort::new(10_000_000);
    let document = Document::parse(text.as_bytes(), bounds, &effort).expect(text);
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, length)| GivenVariable {
            name: name.as_bytes().into(),
            length: *length,
        })
        .collect();
    let first = &document.operations()[0];
    let totals = document
        .measure(first, Some(table), &variables, &effort)
        .unwrap();
    (!totals.is_of_unknown_cost).then_some(totals.cost)
}

#[test]
fn documents_of_the_grammar_are_read() {
    for text in [
        "{a}",
        "\u{feff}{a}",
        "query{a}",
        "query Q($a:Int=1,$b:[[T!]!]! @d(x:1)){a(b:$a)@skip(if:$b){c}}",
        "mutation M @d { a: b(c: [1, -2.5e+3, \"x\\u00e9\\uD83D\\uDE00\\n\", {d: {e: []}}, E, true, null]) }",
        "subscription{a{b{c}}}",
        "{...{a}...on T@x{b}...F}fragment F on T{c}",
        "{a(b:\"\")}",
        "{a(b:\"\"\"\"\"\")}",
        "{a(b:\"\"\"x\n\\\"\"\" \" \"\"y\"\"\")}",
        "{a,,,b # } {\n\t,c\r\n}",
        "{a(b:{})}",
        "{a(b:[{}[]{c:[{}]}])}",
        "{on,query,fragment,true,null,type}",
        "query query{query}",
        "query A{a}query B{a}",
        "{ a(b: 0, c: -0, d: 0.0, e: 1E5) }",
    ] {
        assert_eq!(fault(text), None, "{text}");
    }
}

#[test]
fn what_is_not_of_the_grammar_is_refused() {
    for text in [
        "",
        "#",
        "{",
        "}",
        "{}",
        "{a",
        "{a}}",
        "{a{}}",
        "query",
        "query{}",
        "query Q()",
        "query()  {a}",
        "{a()}",
        "{a(b)}",
        "{a(b:)}",
        "{a(b:c d)}",
        "{a:}",
        "{a:b:c}",
        "{...}",
        "{...on}",
        "{...on T}",
        "{... F{a}}",
        "fragment on on T{a}",
        "fragment F T{a}",
        "fragment F on T",
        "{a}fragment F on T{}",
        "{a @}",
        "{a(b:01)}",
        "{a(b:1a)}",
        "{a(b:1.)}",
        "{a(b:.5)}",
        "{a(b:1e)}",
        "{a(b:-)}",
        "{a(b:+1)}",
        "{a(b:1.2.3)}",
        "{a(b:0x1)}",
        "{a(b:1_)}",
        "{a(b:\"x)}",
        "{a(b:\"x\ny\")}",
        "{a(b:\"\\x\")}",
        "{a(b:\"\\u12\")}",
        "{a(b:\"\\u{41}\")}",
        "{a(b:\"\"\"x\"\")}",
        "{a(b:$)}",
        "query($a:Int=$b){a}",
        "query($a){a}",
        "query($a:){a}",
        "query($a:[T){a}",
        "query(a:T){a}",
        "query($a:T @d(x:$a)){a}",
        "query($a:T!!){a}",
        "{a|b}",
        "{a&b}",
        "a",
        "{a};",
        "{..a}",
        "{a(b:[1)}",
        "{a(b:{c:1]})}",
        "{a(b:{c})}",
        "{a(b:{c:})}",
        "{a.b}",
        "query A B{a}",
        "{a}{",
        "\u{feff}",
    ] {
        assert_eq!(fault(text), Some(DocumentFault::Syntax), "{text}");
    }
}

#[test]
fn characters_that_readers_take_differently_are_refused() {
    for text in [
        "{a\0}",
        "{a#\0\n}",
        "{a(b:\"\0\")}",
        "{a(b:\"\"\"\0\"\"\")}",
        "{a\u{feff}}",
        "\u{feff}\u{feff}{a}",
        "{a\u{a0}b}",
        "{a\u{2028}b}",
        "{a#\u{2028}__schema\n}",
        "{a#\u{2029}\n}",
        "{a#\r__schema}",
        "{ä}",
        "{a\u{b}b}",
        "{a(b:\"\\uD83D\")}",
        "{a(b:\"\\uDE00\")}",
        "{a(b:\"\\uD83Dx\")}",
        "{a(b:\"\\uD83D\\n\")}",
        "{__sch\u{200b}ema}",
        "{a(b:\"\\uD83D\\uD83D\")}",
        "{a\u{7f}}",
    ] {
        assert_eq!(fault(text), Some(DocumentFault::Characters), "{text:?}");
    }
    for bytes in [
        &b"{a#\xff\n}"[..],
        b"{a(b:\"\xc0\xae\")}",
        b"\xff\xfe{\0a\0}\0",
    ] {
        let bounds = DocumentBounds {
            tokens: 9,
            arguments: &[],
        };
        let read = Document::parse(bytes, bounds, &Effort::new(99));
        assert_eq!(read.err(), Some(DocumentFault::Characters));
    }
}

#[test]
fn what_defines_types_is_refused() {
    for text in [
        "type Q{a:Int}",
        "{a} extend type Q{a:Int}",
        "schema{query:Q}",
        "scalar S",
        "interface I",
        "union U=A",
        "enum E{A}",
        "input I{a:Int}",
        "directive @d on FIELD",
        "\"said\" query{a}",
        "\"\"\"said\"\"\" {a}",
    ] {
        assert_eq!(fault(text), Some(DocumentFault::TypeSystem), "{text}");
    }
}

#[test]
fn names_that_may_come_once_do() {
    for text in [
        "query A{a}query A{a}",
        "{...F}fragment F on T{a}fragment F on T{a}",
        "{a(b:1,b:1)}",
        "{a@d(b:1,b:1)}",
        "query($a:T,$a:T){a}",
        "{a(b:{c:1,c:1})}",
        "{a(b:[{c:{d:1},e:1,c:2}])}",
    ] {
        assert_eq!(fault(text), Some(DocumentFault::Repeated), "{text}");
    }
    for text in ["{a}{a}", "{a}query A{a}", "query A{a}{a}"] {
        assert_eq!(fault(text), Some(DocumentFault::Unnamed), "{text}");
    }
    assert_eq!(fault("{a(b:1){a(b:1)}c(b:{d:{d:{d:1}}},d:1)}"), None);
}

#[test]
fn fragments_are_there_and_used_and_not_in_themselves() {
    for (text, expected) in [
        ("{...F}", DocumentFault::UnknownFragment),
        ("{a}fragment F on T{a}", DocumentFault::UnusedFragment),
        (
            "{a}fragment F on T{...G}fragment G on T{...F}",
            DocumentFault::UnusedFragment,
        ),
        ("{...F}fragment F on T{...F}", DocumentFault::Cycle),
        (
            "{...F}fragment F on T{a{...on T{...G}}}fragment G on T{b{...F}}",
            DocumentFault::Cycle,
        ),
    ] {
        assert_eq!(fault(text), Some(expected), "{text}");
    }
    assert_eq!(
        fault("{...F...F...G}fragment G on T{...F}fragment F on T{a}"),
        None
    );
}

#[test]
fn fields_aliases_directives_and_depth_are_counted_through_fragments() {
    let counts = |text| {
        let totals = totals(text);
        [
            totals.depth,
            totals.fields,
            totals.root_fields,
            totals.aliases,
            totals.directives,
        ]
    };
    assert_eq!(counts("{a}"), [1, 1, 1, 0, 0]);
    assert_eq!(counts("query@x{a@y@z{b{c}}d:e}"), [3, 4, 2, 1, 3]);
    assert_eq!(counts("{...{...{a...on T{b{c}}}}}"), [2, 3, 2, 0, 0]);
    assert_eq!(counts("query($a:T@x@y){a}"), [1, 1, 1, 0, 2]);
    let text = "{a{...F}...F@x}fragment F on T@y{b:c{d}e@z}";
    assert_eq!(counts(text), [3, 7, 3, 2, 5]);
}

#[test]
fn many_fields_of_few_lines_are_counted_in_as_many_steps_as_there_are_lines() {
    let mut text = "{...F0}".to_owned();
    for each in 0..100 {
        text += &format!("fragment F{each} on T{{a{{...F{0} ...F{0}}}}}", each + 1);
    }
    text += "fragment F100 on T{x:a@d}";
    let document = parse(&text).unwrap();
    let effort = Effort::new(10_000);
    let totals = document
        .measure(&document.operations()[0], None, &[], &effort)
        .unwrap();
    assert_eq!((totals.depth, totals.fields), (101, u64::MAX));
    assert_eq!((totals.aliases, totals.directives), (u64::MAX, u64::MAX));
    assert_eq!(totals.root_fields, 1);
}

#[test]
fn fields_of_the_operation_are_shown_whatever_they_stand_in() {
    assert_eq!(roots("{a{b}c}"), ["a", "c"]);
    assert_eq!(
        roots("{x:a ...{b}...on Query{...F}}fragment F on Query{c{d}...G...G}fragment G on T{e}"),
        ["a", "b", "c", "e"]
    );
    assert_eq!(roots("query A{a}mutation B{b}"), ["a", "b"]);
}

#[test]
fn whoever_asks_for_the_schema_is_found() {
    for text in [
        "{__schema{a}}",
        "{a:__schema{b}}",
        "{a{__type(name:\"T\"){b}}}",
        "{...F}fragment F on T{__schema{a}}",
        "{...{__schema{a}}}",
        "{#\n__schema{a}}",
        "{,__schema,{a}}",
        "{_service{sdl}}",
        "query($x:T){a{b{...on T{__type{c}}}}}",
    ] {
        assert!(totals(text).asks_for_schema, "{text}");
    }
    for text in ["{__typename}", "{a{__typename}}", "{schema,_schema,type__}"] {
        assert!(!totals(text).asks_for_schema, "{text}");
    }
}

#[test]
fn costs_are_by_name_and_by_lengths_of_lists() {
    let table = table(1, &[("users", 5), ("free", 0)]);
    assert_eq!(cost("{a}", &table, &[]), Some(1));
    assert_eq!(cost("{users{a b}free}", &table, &[]), Some(7));
    assert_eq!(cost("{__typename users{__typename}}", &table, &[]), Some(5));
    assert_eq!(cost("{users(first:10){a}}", &table, &[]), Some(60));
    assert_eq!(cost("{users(first:10,last:20){a}}", &table, &[]), Some(120));
    assert_eq!(cost("{users(first:0){a}}", &table, &[]), Some(6));
    assert_eq!(cost("{users(first:null){a}}", &table, &[]), Some(6));
    assert_eq!(cost("{users(count:10){a}}", &table, &[]), Some(6));
    assert_eq!(
        cost("{a(first:10){b(first:10){c}}}", &table, &[]),
        Some(210)
    );
    assert_eq!(
        cost("{...F}fragment F on Q{a(first:3)}", &table, &[]),
        Some(3)
    );
    for text in [
        "{a(first:-1)}",
        "{a(first:\"9\")}",
        "{a(first:1.5)}",
        "{a(first:[1])}",
        "{a(first:99999999999999999999)}",
    ] {
        assert_eq!(cost(text, &table, &[]), None, "{text}");
    }
    let text = "query($n:Int=7){a(first:$n)}";
    assert_eq!(cost(text, &table, &[]), Some(7));
    assert_eq!(cost(text, &table, &[("n", Some(Some(3)))]), Some(3));
    assert_eq!(cost(text, &table, &[("n", Some(None))]), Some(1));
    assert_eq!(cost(text, &table, &[("n", None)]), None);
    assert_eq!(cost(text, &table, &[("m", None)]), Some(7));
    assert_eq!(cost("query($n:Int){a(first:$n)}", &table, &[]), Some(1));
    assert_eq!(cost("{a(first:$n)}", &table, &[("n", Some(Some(3)))]), None);
    assert_eq!(cost("query($n:Int=E){a(first:$n)}", &table, &[]), None);
    let deep = CostTable {
        depth_factor: 3,
        ..self::table(1, &[])
    };
    assert_eq!(cost("{a{b{c}}}", &deep, &[]), Some(1 + 3 + 9));
    let mut by_type = self::table(1, &[("users", 5)]);
    by_type.root_fields = vec![((OperationKind::Mutation, "users".into()), 50)];
    assert_eq!(
        cost(
            "mutation{users...{users}...F a{users}}fragment F on M{users}",
            &by_type,
            &[]
        ),
        Some(156)
    );
    assert_eq!(cost("{users}", &by_type, &[]), Some(5));
}

#[test]
fn tokens_nesting_work_and_memory_are_bounded() {
    let bounds = DocumentBounds {
        tokens: 5,
        arguments: &[],
    };
    let effort = Effort::new(1000);
    assert_eq!(
        Document::parse(b"{a b c}", bounds, &effort)
            .unwrap()
            .tokens(),
        5
    );
    let more = Document::parse(b"{a b c d}", bounds, &effort);
    assert_eq!(more.err(), Some(DocumentFault::Tokens));
    let nested = |count: usize| ["{a".repeat(count), "}".repeat(count)].concat();
    assert_eq!(fault(&nested(200)), None);
    assert_eq!(fault(&nested(10_000)), Some(DocumentFault::Nesting));
    let values = |count: usize| format!("{{a(b:{}{})}}", "[".repeat(count), "]".repeat(count));
    assert_eq!(fault(&values(200)), None);
    assert_eq!(fault(&values(10_000)), Some(DocumentFault::Nesting));
    let types = format!(
        "query($a:{}T{}){{a}}",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    assert_eq!(fault(&types), None);
    let many: String = (0..20_000).map(|each| format!("a{each}:1,")).collect();
    assert_eq!(
        fault(&format!("{{a({many})}}")),
        Some(DocumentFault::Effort)
    );
    use portcullis_wire::budget::{Share, reserve, used};
    let spent = reserve(Share::Bodies, Share::Bodies.most() - 300).unwrap();
    assert_eq!(fault(&nested(100)), Some(DocumentFault::Memory));
    drop(spent);
    assert_eq!(used(Share::Bodies), 0);
}
