//! The name of a command as a shell reads it: without the quotes, backslashes and empty variables in it.

use super::names::{Known, known};
use crate::classes::around::{first, from};
use crate::list::Prefixes;
use crate::spot::{Work, is_space, is_word, skip_space};

/// The longest name there is.
const LONGEST: usize = 24;

/// What it costs to look whether a name is a command's, beside its bytes.
const COMMAND_STEPS: usize = 32;

/// A command at the beginning of a text.
pub(super) struct Command<'t> {
    name: [u8; LONGEST],
    length: usize,
    /// What stands in it, or behind it, that people do not write: `c\at`, `c''at`, `c$@at`, `cat${IFS}`.
    pub(super) hidden: bool,
    /// A directory of programs stands before it.
    pub(super) has_path: bool,
    /// Another directory does.
    is_elsewhere: bool,
    /// A quote does that nothing closes.
    is_quoted: bool,
    /// What follows the name.
    pub(super) rest: &'t [u8],
}

impl<'t> Command<'t> {
    /// Reads one, behind blanks and brackets.
    pub(super) fn read(text: &'t [u8], work: &Work) -> Self {
        let mut command = Self {
            name: [0; LONGEST],
            length: 0,
            hidden: false,
            has_path: false,
            is_elsewhere: false,
            is_quoted: false,
            rest: text,
        };
        let text = first(text, 56);
        let blanks = text
            .iter()
            .take_while(|byte| is_space(**byte) || b"(!@".contains(byte));
        let start = blanks.count();
        // `. file` runs a file.
        let start = match from(text, start) {
            [b'.', b' ', ..] => start.saturating_add(2),
            _ => start,
        };
        let read = command.take(from(text, start));
        let length = start.saturating_add(read);
        command.rest = from(command.rest, length);
        work.add(length.saturating_mul(2).saturating_add(COMMAND_STEPS));
        command
    }

    /// Takes the name, and says how long it was.
    fn take(&mut self, text: &[u8]) -> usize {
        let mut rest = text;
        while let [byte, after @ ..] = rest {
            let begun = self.length > 0;
            let skip = match *byte {
                byte if is_word(byte)
                    || (begun && b"-.".contains(&byte))
                    || (begun
                        && byte == b'+'
                        && first(&self.name, self.length).starts_with(b"g")) =>
                {
                    if !self.push(byte) {
                        self.length = 0;
                        break;
                    }
                    1
                }
                b'/' if after
                    .first()
                    .is_some_and(|byte| is_word(*byte) || b"?*[/.".contains(byte)) =>
                {
                    let directory = first(&self.name, self.length);
                    self.has_path = directory == b"bin" || directory == b"sbin";
                    self.is_elsewhere = !self.has_path;
                    self.length = 0;
                    1
                }
                b'.' if !begun && matches!(after, [b'/' | b'.', ..]) => 1,
                b'\\' | b'^' if after.first().is_some_and(|byte| is_word(*byte)) => {
                    self.hidden = true;
                    1
                }
                b'\\' if after.starts_with(b"\n") => {
                    self.hidden = true;
                    2
                }
                quote @ (b'\'' | b'"') => {
                    let inside = after
                        .iter()
                        .take(16)
                        .take_while(|byte| is_word(**byte) || b"-.".contains(byte));
                    let inside = inside.count();
                    if from(after, inside).first() != Some(&quote) {
                        // What a text in quotes ends with, before a command.
                        if begun || self.is_quoted {
                            break;
                        }
                        self.is_quoted = true;
                        rest = after;
                        continue;
                    }
                    let next = from(after, inside.saturating_add(1));
                    // `"""` begins a text of other languages.
                    let goes_on = next.first().is_some_and(|byte| {
                        is_word(*byte) || (b"'\"\\$".contains(byte) && (begun || inside > 0))
                    });
                    if !first(after, inside).iter().all(|byte| self.push(*byte)) {
                        break;
                    }
                    self.hidden |= begun || goes_on;
                    inside.saturating_add(2)
                }
                b'`' if begun && after.starts_with(b"`") => {
                    self.hidden = true;
                    2
                }
                b'[' if matches!(after, [inside, b']', ..] if inside.is_ascii_alphabetic())
                    && (begun || self.has_path) =>
                {
                    self.hidden = true;
                    let pushed = after.first().is_some_and(|inside| self.push(*inside));
                    if !pushed {
                        break;
                    }
                    3
                }
                b'$' if begun => match nothing(after) {
                    Some(length) => {
                        self.hidden = true;
                        length.saturating_add(1)
                    }
                    None => break,
                },
                _ => break,
            };
            rest = from(rest, skip);
        }
        text.len().saturating_sub(rest.len())
    }

    fn push(&mut self, byte: u8) -> bool {
        let Some(place) = self.name.get_mut(self.length) else {
            return false;
        };
        *place = byte.to_ascii_lowercase();
        self.length = self.length.saturating_add(1);
        true
    }

    /// The name without what tells its version or its kind of file.
    pub(super) fn name(&self) -> &[u8] {
        let name = first(&self.name, self.length);
        let name = [&b".exe"[..], b".com", b".bat", b".cmd"]
            .into_iter()
            .find_map(|ending| name.strip_suffix(ending))
            .unwrap_or(name);
        let numbered = name
            .last()
            .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'.');
        if !numbered || known(name).is_some() {
            return name;
        }
        let end = name
            .iter()
            .rposition(|byte| !byte.is_ascii_digit() && *byte != b'.');
        first(name, end.map_or(0, |end| end.saturating_add(1)))
    }

    /// What is known of it, if the name ends as names of commands do.
    pub(super) fn known(&self) -> Option<Known> {
        let ends = match self.rest {
            [] => true,
            // Somebody's: `who's`.
            [b'\'' | b'"', byte, ..] if is_word(*byte) => false,
            [b'<' | b'>', byte, ..] => b"/&$(.~<>".contains(byte) || is_space(*byte),
            [b'+', byte, ..] => *byte == b'/',
            [byte, ..] => is_space(*byte) || b";|&)}`<>$\"'%".contains(byte),
        };
        if !ends || self.is_elsewhere {
            return None;
        }
        known(self.name())
    }
}

/// How long what is nothing in a name is, behind `$`: a variable that is not set, or one of the shell's own.
fn nothing(after: &[u8]) -> Option<usize> {
    match after {
        // What parts words is for the arguments.
        _ if const { Prefixes::new("ifs IFS {ifs {IFS") }
            .strip(after)
            .is_some() =>
        {
            None
        }
        [
            b'@' | b'*' | b'!' | b'$' | b'-' | b'?' | b'#' | b'0'..=b'9',
            ..,
        ] => Some(1),
        [b'{', inside @ ..] => {
            let end = inside.iter().take(16).position(|byte| *byte == b'}')?;
            Some(end.saturating_add(2))
        }
        [b'(', b')', ..] => Some(2),
        [letter, ..] if is_word(*letter) => Some(1),
        _ => None,
    }
}

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Argument {
    /// A word as anybody writes them.
    Word,
    /// Nothing, or the end of the command.
    None,
    /// Something in quotes, a name of a file, or an option further on.
    Likely,
    /// A variable, which other languages have too.
    Variable,
    /// An option, a path, an address of the web.
    Sure,
    /// What stands for a blank and is not one.
    Hidden,
}

impl Argument {
    /// What the text behind a name begins with.
    pub(super) fn read(rest: &[u8], work: &Work) -> Self {
        let rest = first(rest, 80);
        match rest {
            [] => return Argument::None,
            [b'<' | b'>', b'(', ..] | [b'+', ..] => return Argument::Sure,
            [b'<', b'<', b'<', ..] => return Argument::Hidden,
            [b'$', after @ ..] => {
                return match const { Prefixes::new("ifs {ifs") }.strip(after) {
                    Some(_) => Argument::Hidden,
                    None => Argument::Sure,
                };
            }
            [b'<' | b'>', byte, ..] if !is_space(*byte) => return Argument::Sure,
            [b'%', ..] => return Argument::Sure,
            [byte, ..] if !is_space(*byte) => return Argument::None,
            _ => {}
        }
        let rest = skip_space(rest);
        match rest {
            [b'`', byte, ..] if is_word(*byte) => Argument::Word,
            [] | [b';' | b'|' | b'&' | b')' | b'}' | b'`' | b'#', ..] => Argument::None,
            [b'-', b'-', byte, ..] if byte.is_ascii_alphabetic() => Argument::Sure,
            [b'-', byte, ..] if is_word(*byte) => Argument::Sure,
            [b'/', byte, ..] if is_word(*byte) || b"?*[.%".contains(byte) => Argument::Sure,
            [b'/'] => Argument::Sure,
            [b'~', ..] | [b'.', b'.', b'/', ..] | [b'.', b'/', ..] => Argument::Sure,
            [b'$', byte, ..] if is_word(*byte) || b"{(@*".contains(byte) => Argument::Variable,
            [b'<' | b'>', b'=', ..] => Argument::Word,
            [b'+', letter, ..] if letter.is_ascii_alphabetic() || *letter == b'%' => Argument::Sure,
            [b'>' | b'<', byte, ..] if !is_space(*byte) => Argument::Sure,
            [b'%', byte, ..] if is_word(*byte) => Argument::Sure,
            [b'\\', b'\\', ..] => Argument::Sure,
            [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => Argument::Sure,
            [b'"' | b'\'' | b'*' | b'{', ..] => Argument::Likely,
            _ => Self::word(rest, work),
        }
    }

    /// A word that may be more.
    fn word(rest: &[u8], work: &Work) -> Self {
        let end = rest
            .iter()
            .position(|byte| is_space(*byte) || b";|&`<>".contains(byte));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        let assigned = word.iter().position(|byte| *byte == b'=');
        let assigned = assigned.is_some_and(|at| from(word, at).starts_with(b"=/"));
        if assigned
            || const { Prefixes::new("http:// https:// ftp:// file://") }
                .strip(word)
                .is_some()
        {
            return Argument::Sure;
        }
        work.add(word.len().saturating_add(48));
        let name = Command::read(rest, work);
        if name.known() == Some(Known::Command) || (name.hidden && name.known().is_some()) {
            return Argument::Likely;
        }
        if has_file(word) || is_address(word) || is_option_ahead(after) {
            return Argument::Likely;
        }
        Argument::Word
    }
}

/// Whether it is an address of four numbers.
fn is_address(word: &[u8]) -> bool {
    let number = |part: &[u8]| (1..4).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    let mut parts = word.split(|byte| *byte == b'.');
    let four = [parts.next(), parts.next(), parts.next(), parts.next()];
    four.into_iter().all(|part| part.is_some_and(number)) && parts.next().is_none()
}

/// Whether it is a path, or a name with an ending.
fn has_file(word: &[u8]) -> bool {
    let dot = word.iter().rposition(|byte| *byte == b'.');
    let ending = dot.map_or(&b""[..], |dot| from(word, dot.saturating_add(1)));
    let is_named = (2..5).contains(&ending.len()) && ending.iter().all(u8::is_ascii_alphanumeric);
    let slashes = word.iter().filter(|byte| **byte == b'/').count();
    is_named || slashes > 1 || (slashes > 0 && word.contains(&b'='))
}

/// Whether an option follows: ` -x`, ` --option`.
fn is_option_ahead(after: &[u8]) -> bool {
    let mut rest = first(after, 48);
    while let [byte, after @ ..] = rest {
        if *byte == b' '
            && matches!(after, [b'-', letter, ..] | [b'-', b'-', letter, ..] if letter.is_ascii_alphabetic())
        {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> (String, bool) {
        let command = Command::read(text.as_bytes(), &Work::default());
        (
            String::from_utf8(command.name().to_vec()).unwrap(),
            command.hidden,
        )
    }

    #[test]
    fn names_are_read_as_a_shell_reads_them() {
        for plain in [
            "cat /etc",
            "  cat",
            "/bin/cat x",
            "(cat)",
            "cat.exe",
            "\"cat\" x",
            "'cat'",
            "CAT",
            "cat3.10 x",
        ] {
            assert_eq!(name(plain), ("cat".into(), false), "{plain}");
        }
        for hidden in [
            "c\\at",
            "c''at",
            "c\"\"at",
            "'c'at",
            "c'a't",
            "c$@at",
            "c$*at",
            "c$!at",
            "c${x}at",
            "/bin/c[a]t",
            "c^at",
            "ca``t",
            "cat$u",
            "c$1at",
            "\"c\"\"at\"",
        ] {
            assert_eq!(name(hidden), ("cat".into(), true), "{hidden}");
        }
        for other in [
            "catalogue",
            "c,at",
            "it's a cat",
            "we'd",
            "",
            "$cat",
            "----",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(
                Command::read(other.as_bytes(), &Work::default()).known(),
                None,
                "{other}"
            );
        }
    }

    #[test]
    fn arguments_are_told_from_words() {
        let read = |text: &str| Argument::read(text.as_bytes(), &Work::default());
        for sure in [
            " -l",
            " --all",
            " /etc",
            " ~",
            " ../x",
            " http://x",
            " >/tmp/x",
            " c:\\x",
            "<(id)",
        ] {
            assert_eq!(read(sure), Argument::Sure, "{sure}");
        }
        for hidden in ["$ifs/etc", "${ifs}x", "<<<x"] {
            assert_eq!(read(hidden), Argument::Hidden, "{hidden}");
        }
        for likely in [
            " 10.0.0.1",
            " 'x'",
            " evil.sh",
            " a/b/c",
            " x -y",
            " whoami",
        ] {
            assert_eq!(read(likely), Argument::Likely, "{likely}");
        }
        for word in [" of the day", " - and", " a", " and/or"] {
            assert_eq!(read(word), Argument::Word, "{word}");
        }
        for none in ["", " ", ";", " | x", ")"] {
            assert_eq!(read(none), Argument::None, "{none}");
        }
    }
}
