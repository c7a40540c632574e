//! `files`: which files a form may have.

use std::collections::BTreeSet;

use super::multipart::FormPart;
use portcullis_document::{Node, Pointer, Problems, Quoted};
use portcullis_exchange::media_type::{MediaRange, MediaType};
use portcullis_schema::Violation;

/// A file that has been declared.
pub(crate) struct FileRule {
    pub name: String,
    pub required: bool,
    pub repeated: bool,
    pub max_bytes: u64,
    pub content_types: Option<Vec<MediaRange>>,
    /// In lower case, with their dot.
    pub extensions: Option<Vec<String>>,
    pub place: Pointer,
}

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileError {
    Missing,
    Repeated,
    /// It is a field and no file, or the other way round.
    Kind,
    Bytes,
    Type,
    Name,
}

/// A name of more bytes is none that a file system has.
const MAX_NAME_BYTES: usize = 255;

impl FileRule {
    /// Reads `files`, which may be empty.
    pub(super) fn read_list(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Self>> {
        let items = node.items(problems)?;
        let mut rules: Vec<Self> = Vec::with_capacity(items.len());
        let (mut sound, mut names) = (true, BTreeSet::new());
        for item in &items {
            let Some(rule) = Self::read(item, problems) else {
                sound = false;
                continue;
            };
            if !names.insert(rule.name.clone()) {
                let name = Quoted(&rule.name);
                let reason = format_args!("another file is named {name} too").to_string();
                item.report(problems, reason);
            }
            rules.push(rule);
        }
        sound.then_some(rules)
    }

    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let name = fields.required("name", problems);
        let name = name.and_then(|node| node.non_empty(problems).map(str::to_owned));
        let required = fields.or_default("required", false, problems, Node::boolean);
        let repeated = fields.or_default("repeated", false, problems, Node::boolean);
        let max_bytes = fields.required("max_bytes", problems);
        let max_bytes = max_bytes.and_then(|node| node.bytes(problems));
        let content_types = fields.or_default("content_types", None, problems, |node, problems| {
            node.list(problems, MediaRange::read).map(Some)
        });
        let extensions = fields.or_default("extensions", None, problems, |node, problems| {
            node.list(problems, read_extension).map(Some)
        });
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            required: required?,
            repeated: repeated?,
            max_bytes: max_bytes?,
            content_types: content_types?,
            extensions: extensions?,
            place: node.pointer().clone(),
        })
    }

    /// Judges how many came.
    pub(super) fn judge_count(&self, count: usize) -> Result<(), FileError> {
        match count {
            0 if self.required => Err(FileError::Missing),
            2.. if !self.repeated => Err(FileError::Repeated),
            _ => Ok(()),
        }
    }

    /// Judges one.
    pub(super) fn judge(&self, piece: &FormPart<'_>, filename: &str) -> Result<(), FileError> {
        let size = u64::try_from(piece.content.len()).unwrap_or(u64::MAX);
        if size > self.max_bytes {
            return Err(FileError::Bytes);
        }
        let lowered = filename.to_ascii_lowercase();
        let mut extensions = self.extensions.iter().flatten();
        let ends_so = |extension: &String| {
            let stem = lowered.strip_suffix(extension.as_str());
            stem.is_some_and(|stem| !stem.is_empty())
        };
        if !is_plain(filename) || (self.extensions.is_some() && !extensions.any(ends_so)) {
            return Err(FileError::Name);
        }
        let Some(allowed) = &self.content_types else {
            return Ok(());
        };
        let media_type = piece.media_type.and_then(MediaType::parse);
        let fits = |media_type| allowed.iter().any(|range| range.contains(&media_type));
        if media_type.is_some_and(fits) {
            Ok(())
        } else {
            Err(FileError::Type)
        }
    }

    /// What the log says of it.
    pub(super) fn violation(&self, keyword: &'static str) -> Violation {
        let form = Pointer::default().member("form");
        Violation {
            instance: form.member(&self.name).to_string(),
            keyword,
            schema: self.place.to_string(),
        }
    }
}

impl FileError {
    /// The field of the declaration that it does not keep to.
    pub(super) fn keyword(self) -> &'static str {
        match self {
            FileError::Missing => "required",
            FileError::Repeated => "repeated",
            FileError::Kind => "name",
            FileError::Bytes => "max_bytes",
            FileError::Type => "content_types",
            FileError::Name => "extensions",
        }
    }
}

fn read_extension(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let written = node.non_empty(problems)?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if !written.starts_with('.') || written.len() < 2 || !written.bytes().all(plain) {
        node.report(problems, "must begin with a dot, such as \".png\"");
        return None;
    }
    Some(written.to_ascii_lowercase())
}

/// Whether a file of that name stays where a service puts it.
fn is_plain(name: &str) -> bool {
    let odd = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    let hidden = name.starts_with('.') || name.ends_with(['.', ' ']);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !hidden && !name.contains(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["a.png", "a b.tar.gz", "é.txt", "a"] {
            assert!(is_plain(name), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            ".htaccess",
            "../a",
            "a/b",
            "a\\b",
            "a:b",
            "a.",
            "a\0.png",
        ] {
            assert!(!is_plain(name), "{name}");
        }
        assert!(!is_plain(&"a".repeat(256)));
    }
}
