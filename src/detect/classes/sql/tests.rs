use crate::Class;
use crate::detector::found;

fn kinds(text: &str) -> Vec<&'static str> {
    let of_class = found(text)
        .into_iter()
        .filter(|(class, ..)| *class == Class::Sql);
    of_class.map(|(_, kind, _)| kind).collect()
}

#[test]
fn each_kind_is_found() {
    for (kind, texts) in [
        (
            "condition",
            &[
                "' or 1=1",
                "' OR '1'='1",
                "x' or 'a' like 'a",
                "1 or 1=1",
                "1) or (1=1",
                "1/**/or/**/1=1",
                "%27%20or%201%3d1",
                "' || true --",
                "x' and not x(1)--",
                "1 and 5=5--",
                "ʼ or 1=1",
                "） or 1=1",
            ][..],
        ),
        (
            "rest of a statement commented out",
            &["admin'--", "admin' #", "admin')/*", "admin\" -- "],
        ),
        (
            "second statement",
            &[
                "'; drop table a",
                "x'; select 1",
                "1'; exec xp_cmdshell('dir')",
            ],
        ),
        (
            "expression behind a literal",
            &[
                "x'-(select 1)-'",
                "x'-email--",
                "x'+sleep(1)+'",
                "x' collate nocase--",
            ],
        ),
        (
            "union",
            &[
                "1 union select 1",
                "1 UNION/**/ALL/**/SELECT null",
                "0union(select 1)",
                "\\u0055nion select 1",
            ],
        ),
        (
            "statement",
            &[
                "(select a from b)",
                "select * from a",
                "1; drop table a",
                "insert into a values (1)",
                "update a set b=1",
                "declare @a int",
                "1 into outfile 'a'",
                "1 waitfor delay '0:0:5'",
            ],
        ),
        (
            "blind question",
            &[
                "1 and (select 1)",
                "' or exists (select 1)",
                "if(1=1,sleep(1),0)",
                "x' waitfor delay '0:0:1'",
            ],
        ),
        (
            "call of a database's function",
            &[
                "sleep(5)",
                "benchmark(1000,md5(1))",
                "pg_sleep(1)",
                "xp_dirtree 'a'",
                "load_file(0x61)",
                "concat(",
                "database()",
            ],
        ),
        (
            "name of a database's own",
            &["information_schema.tables", "from pg_catalog"],
        ),
        ("variable of a database server", &["@@version"]),
        (
            "comment that a database runs",
            &["1 /*!50000or*/ 2", "1 /*+ hint */ x"],
        ),
        (
            "clause",
            &["1 order by 5--", "1 procedure analyse(1)", "x) like ("],
        ),
        (
            "operator of a document store",
            &["a[$ne]", "{\"$where\": 1}", "{$gt: 1}"],
        ),
        ("operator of JSON", &["'{\"a\":1}'::jsonb @> '{}'"]),
        ("number that hides a name", &["1.e(a)"]),
        ("number that overflows", &["2.2250738585072011e-308"]),
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
        "Tom's and Jerry's",
        "rock 'n' roll",
        "O'Brien or O'Neill",
        "please select one from the list",
        "the union selects a committee",
        "the \"first\" or \"second\" is 1",
        "Update all and set the clock",
        "drop the table off; create order",
        "1 or 2, this and that",
        "if x is 5 and y is in 1..10",
        "order by Tuesday, group by hand",
        "`a` or `b`",
        "it's late -- go home",
        "'a' + 'b'",
        "$100 and 50 % off; call us",
        "sleep (well)",
        "a date (1 May)",
        "insert coin, delete from memory what you saw",
        "2147483647",
        "don't; or do",
    ] {
        assert_eq!(kinds(text), [] as [&str; 0], "{text}");
    }
}
