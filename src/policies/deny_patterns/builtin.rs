//! The built-in sets: the plainest attempts at injection, in a text that has been decoded once.

use portcullis_document::{Pointer, Problems};
use portcullis_wire::budget::Share;
use portcullis_wire::regex::{Effort, Regex, TooCostly};

/// A set of patterns with a name.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    patterns: &'static [Phrase],
    /// What opens an expression, and what closes it up to [`INSIDE`] visible characters on.
    enclosed: &'static [(&'static str, &'static str)],
}

/// How much may stand in an expression.
const INSIDE: usize = 80;

/// Words that it may begin with, and the pattern from there on, both in lower case.
type Phrase = (&'static [&'static str], &'static str);

const QUOTES: &[&str] = &["'", "\""];
const HANDLERS: &[&str] = &[
    " on", "\ton", "\non", "\ron", "/on", "\"on", "'on", "<on", ">on",
];

pub(super) const BUILT_IN: &[BuiltIn] = &[
    BuiltIn {
        name: "sql",
        patterns: &[
            (
                &["union"],
                r"\bunion(?:\s|/\*[ -~]{0,40}?\*/)+(?:all\s+|distinct\s+)?select\b",
            ),
            (
                &["select"],
                r"\bselect\s+(?:\*|@@\w+|[\w.]+\s*\([ -~]{0,40}?\)|[\w.]+(?:\s*,\s*[\w.]+)+)\s+from\b",
            ),
            (
                &["insert"],
                r"\binsert\s+into\s+\w+[ -~]{0,60}?\bvalues\s*\(",
            ),
            (&["update"], r"\bupdate\s+\w+\s+set\s+\w+\s*="),
            (&["delete"], r"\bdelete\s+from\s+\w"),
            (&["drop"], r"\bdrop\s+(?:table|database|schema|view|user)\b"),
            (
                &[";"],
                r";\s*(?:drop|alter|create|truncate|delete|insert|update|exec|shutdown|declare|grant|select)\b",
            ),
            (
                QUOTES,
                r"['\x22]\s*(?:or|and|\|\||&&|xor)\s*[ -~]{0,60}?(?:[=<>]|\blike\b|\bis\b|\bin\b|\bbetween\b)",
            ),
            (
                &["or", "and", "xor", "having", "where"],
                r"\b[a-z]+\s+['\x22(]*\w+['\x22)]*\s*[=<>]+\s*['\x22(]*\w",
            ),
            (
                &["or", "and"],
                r"\b[a-z]+\s+(?:not\s+)?(?:true|false|null)\b\s*(?:--|#|$)",
            ),
            (QUOTES, r"['\x22]\s*\)*\s*(?:--|#|/\*|;)"),
            (&["order"], r"\border\s+by\s+\d+\s*(?:--|#|,|$)"),
            (
                &[
                    "sleep",
                    "benchmark",
                    "pg_sleep",
                    "extractvalue",
                    "updatexml",
                    "load_file",
                    "xp_cmdshell",
                    "xp_dirtree",
                    "group_concat",
                    "dbms_pipe.",
                    "utl_http.",
                ],
                r"\b[\w.]+\s*\(",
            ),
            (&["waitfor"], r"\bwaitfor\s+delay\b"),
            (&["into"], r"\binto\s+(?:out|dump)file\b"),
            (
                &[
                    "information_schema",
                    "pg_catalog",
                    "sysobjects",
                    "sqlite_master",
                ],
                r"\b\w+\b",
            ),
            (&["@@version", "@@datadir", "@@hostname"], r"@@\w+\b"),
        ],
        enclosed: &[],
    },
    BuiltIn {
        name: "script",
        patterns: &[
            (
                &["<"],
                r"<\s*/?\s*(?:script|iframe|frameset|object|embed|applet|svg|math|base|meta|link|style|body|template|isindex|foreignobject)\b",
            ),
            (HANDLERS, r#"[\s/"'<>]on[a-z]{3,24}\s*="#),
            (&["javascript", "vbscript", "livescript"], r"\b\w+\s*:"),
            (&["data"], r"\bdata\s*:\s*text/html\b"),
            (
                &["document"],
                r"\bdocument\s*\.\s*(?:cookie|write|writeln|location|domain)\b",
            ),
            (&["window"], r"\bwindow\s*\.\s*(?:location|name)\b"),
            (
                &[
                    "alert",
                    "confirm",
                    "prompt",
                    "eval",
                    "settimeout",
                    "setinterval",
                ],
                r"\b[a-z]+\s*[(`]",
            ),
            (&["string"], r"\bstring\s*\.\s*fromcharcode\b"),
            (&["expression"], r"\bexpression\s*\("),
        ],
        enclosed: &[],
    },
    BuiltIn {
        name: "path_traversal",
        patterns: &[
            (
                &[".", "%2e", "%252e", "%c0%ae"],
                r"(?:\.|%(?:25)?2e|%c0%ae){2}(?:[/\\]|%(?:25)?2f|%(?:25)?5c|%c0%af)",
            ),
            (&["/..", "\\.."], r"[/\\]\.\.$"),
            (&["/etc/"], r"/etc/(?:passwd|shadow|group|hosts|issue)\b"),
            (&["/proc/"], r"/proc/(?:self|\d+)/"),
            (&[":/", ":\\"], r":[/\\]+(?:windows|winnt|boot|inetpub)\b"),
            (&["/."], r"/\.(?:git|svn|ssh|aws|env|htaccess|htpasswd)\b"),
            (&["web-inf", "meta-inf"], r"\b[a-z]+-inf[/\\]"),
            (
                &["file", "php", "phar", "expect", "gopher", "dict", "jar"],
                r"\b[a-z]+://",
            ),
        ],
        enclosed: &[],
    },
    BuiltIn {
        name: "template",
        patterns: &[
            (&["${"], r"\$\{(?:jndi|env|sys|lower|upper|::-)"),
            (&["#set"], r"#set\s*\("),
        ],
        enclosed: &[
            ("{{", "}}"),
            ("{%", "%}"),
            ("${", "}"),
            ("#{", "}"),
            ("%{", "}"),
            ("@{", "}"),
            ("<%", "%>"),
        ],
    },
    BuiltIn {
        name: "null_bytes",
        patterns: &[(&["\0", "%00", "%2500", "\\x00", "\\u0000"], "")],
        enclosed: &[],
    },
];

/// The sets that a document names, ready to search.
pub(super) struct Searcher {
    sets: Vec<&'static str>,
    attempts: Vec<Compiled>,
    /// For each byte, the words that begin with it and the attempts that they may begin.
    words: Vec<Vec<(&'static [u8], usize)>>,
}

struct Compiled {
    set: usize,
    /// Whether a letter before the word makes it another.
    bounded: bool,
    pattern: Pattern,
}

enum Pattern {
    Regex(Regex),
    Closed(&'static [u8]),
}

/// What it costs to look at a byte.
const BYTE_STEPS: u64 = 2;
/// What it costs to try what may begin there, beside the pattern's own steps. It is more than it takes:
/// few words of people begin an attempt, and a text of nothing else is one.
const TRY_STEPS: u64 = 500;

/// How far behind its first word a pattern may reach.
const REACH: usize = 160;

impl Searcher {
    /// The patterns are ours, and a test compiles them; one that did not compile would be left out.
    pub(super) fn new(sets: &[&'static BuiltIn]) -> Self {
        let mut searcher = Self {
            sets: Vec::new(),
            attempts: Vec::new(),
            words: vec![Vec::new(); 256],
        };
        for (set, built_in) in sets.iter().enumerate() {
            let BuiltIn {
                name,
                patterns,
                enclosed,
            } = built_in;
            searcher.sets.push(name);
            for (words, pattern) in *patterns {
                let bounded = pattern.starts_with(r"\b");
                let anchored = ["(?-u)^(?:", pattern, ")"].concat();
                if let Ok(pattern) = Regex::compile(&anchored, false) {
                    searcher.add(set, words, bounded, Pattern::Regex(pattern));
                }
            }
            for (opening, closing) in *enclosed {
                let pattern = Pattern::Closed(closing.as_bytes());
                searcher.add(set, &[*opening], false, pattern);
            }
        }
        searcher
    }

    /// Adds what it takes to what its document does.
    pub(super) fn account(&self, place: &Pointer, problems: &mut Problems) {
        for attempt in &self.attempts {
            if let Pattern::Regex(pattern) = &attempt.pattern {
                problems.account_pattern(place, pattern);
            }
        }
        let words: usize = self.words.iter().map(Vec::capacity).sum();
        let tables = [
            self.sets.capacity().saturating_mul(size_of::<&str>()),
            self.attempts
                .capacity()
                .saturating_mul(size_of::<Compiled>()),
            self.words
                .capacity()
                .saturating_mul(size_of::<Vec<(&[u8], usize)>>()),
            words.saturating_mul(size_of::<(&[u8], usize)>()),
        ];
        let tables = tables.into_iter().fold(0, usize::saturating_add);
        problems.account(place, Share::Documents, tables);
    }

    fn add(&mut self, set: usize, words: &[&'static str], bounded: bool, pattern: Pattern) {
        for word in words {
            let first = word.bytes().next().map(usize::from);
            let listed = first.and_then(|first| self.words.get_mut(first));
            let attempt = self.attempts.len();
            listed
                .into_iter()
                .for_each(|listed| listed.push((word.as_bytes(), attempt)));
        }
        self.attempts.push(Compiled {
            set,
            bounded,
            pattern,
        });
    }

    /// Looks through a text in lower case: once over its bytes, and from each word on as far as a pattern
    /// reaches. The set of the pattern that was found.
    ///
    /// # Errors
    /// [`TooCostly`] when that takes more than there is left.
    pub(super) fn search(
        &self,
        text: &str,
        effort: &Effort,
    ) -> Result<Option<&'static str>, TooCostly> {
        let bytes = text.as_bytes();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        effort.spend(length.saturating_mul(BYTE_STEPS))?;
        let mut before = b' ';
        for (at, byte) in bytes.iter().enumerate() {
            let listed = self.words.get(usize::from(*byte));
            for (word, attempt) in listed.into_iter().flatten() {
                let rest = bytes.get(at..).unwrap_or_default();
                let Some(attempt) = self
                    .attempts
                    .get(*attempt)
                    .filter(|_| rest.starts_with(word))
                else {
                    continue;
                };
                if attempt.bounded && (before.is_ascii_alphanumeric() || before == b'_') {
                    continue;
                }
                effort.spend(TRY_STEPS)?;
                let found = match &attempt.pattern {
                    Pattern::Regex(regex) => {
                        let end = text.floor_char_boundary(at.saturating_add(REACH));
                        regex.is_match(text.get(at..end).unwrap_or_default(), effort)?
                    }
                    Pattern::Closed(closing) => is_closed(rest, word.len(), closing),
                };
                if let Some(set) = self.sets.get(attempt.set).filter(|_| found) {
                    return Ok(Some(set));
                }
            }
            before = *byte;
        }
        Ok(None)
    }
}

/// Whether an expression that begins with `opening` bytes is closed.
fn is_closed(text: &[u8], opening: usize, closing: &[u8]) -> bool {
    let mut inside = text.get(opening..).unwrap_or_default();
    for _ in 0..=INSIDE {
        if inside.starts_with(closing) {
            return true;
        }
        match inside {
            [b' '..=b'~', after @ ..] => inside = after,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(set: &'static BuiltIn, text: &str) -> bool {
        let effort = Effort::new(1_000_000);
        let found = Searcher::new(&[set]).search(&text.to_ascii_lowercase(), &effort);
        found.unwrap() == Some(set.name)
    }

    #[test]
    fn each_pattern_compiles_and_is_in_lower_case() {
        for set in BUILT_IN {
            let searcher = Searcher::new(&[set]);
            let count = set.patterns.len() + set.enclosed.len();
            assert_eq!(searcher.attempts.len(), count, "{}", set.name);
            for (words, pattern) in set.patterns {
                let upper = |text: &str| text.bytes().any(|b| b.is_ascii_uppercase());
                assert!(
                    !words.iter().any(|word| upper(word)) && !upper(pattern),
                    "{pattern}"
                );
            }
        }
    }

    #[test]
    fn an_expression_is_closed_within_its_reach() {
        let set = BUILT_IN.iter().find(|set| set.name == "template").unwrap();
        let inside = |count| ["@{", &"a".repeat(count), "}"].concat();
        assert!(matches(set, &inside(0)) && matches(set, &inside(INSIDE)));
        assert!(!matches(set, &inside(INSIDE + 1)) && !matches(set, "@{a\nb}"));
        assert!(matches(set, "{{ {% x %} ") && !matches(set, "{{ x } }"));
    }

    #[test]
    fn work_is_bounded() {
        let sets: Vec<&BuiltIn> = BUILT_IN.iter().collect();
        let text = "' or ".repeat(1000);
        let found = Searcher::new(&sets).search(&text, &Effort::new(200_000));
        assert_eq!(found, Err(TooCostly));
    }

    #[test]
    fn the_plainest_attempts_are_found() {
        for (name, text) in [
            ("sql", "' OR '1'='1"),
            ("sql", "1 UNION/**/SELECT password FROM users"),
            ("sql", "x'; DROP TABLE users; --"),
            ("sql", "1 and sleep(5)"),
            ("script", "<ScRiPt>alert(1)</sCrIpT>"),
            ("script", "\"><img src=x onerror=alert(1)>"),
            ("script", "javascript:alert(1)"),
            ("path_traversal", "../../etc/passwd"),
            ("path_traversal", "..%2f..%2f"),
            ("template", "{{7*7}}"),
            ("template", "${jndi:ldap://a/b}"),
            ("null_bytes", "a.php\0.png"),
        ] {
            let set = BUILT_IN.iter().find(|set| set.name == name).unwrap();
            assert!(matches(set, text), "{name} {text}");
        }
    }

    #[test]
    fn words_of_people_are_let_alone() {
        for text in [
            "Please select an item from the menu",
            "Tom's and Jerry's",
            "rock 'n' roll",
            "insert coin",
            "a/b/c.d",
            "1 < 2 or so",
            "100 % cotton",
            "{\"a\": {\"b\": 1}}",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        ] {
            for set in BUILT_IN {
                assert!(!matches(set, text), "{} {text}", set.name);
            }
        }
    }
}
