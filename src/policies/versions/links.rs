//! What an answer says itself of its age: RFC 9745, RFC 8594, and links (RFC 8288).

use portcullis_document::{Node, Problems};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::lifecycle::Lifecycle;
pub(crate) use portcullis_exchange::versions::UpstreamFields;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

use super::lifecycle::{DEPRECATION, LINK, RELATIONS, SUNSET};

/// Reads what becomes of the service's own.
pub(crate) fn read_upstream(node: &Node<'_>, problems: &mut Problems) -> Option<UpstreamFields> {
    let choices = [
        ("replace", UpstreamFields::Replace),
        ("keep", UpstreamFields::Keep),
        ("remove", UpstreamFields::Remove),
    ];
    node.choice(problems, &choices)
}

/// The fields of an answer that tell of its age.
pub(super) struct OwnFields<'h> {
    headers: &'h Headers,
    /// The links of each field; none of one that is not understood.
    links: Vec<Option<Vec<&'h [u8]>>>,
}

impl<'h> OwnFields<'h> {
    pub(super) fn of(headers: &'h Headers) -> Self {
        let links = headers.all(LINK).map(split);
        Self {
            headers,
            links: links.collect(),
        }
    }

    /// What is to be changed, so that the service's own fields go or stay.
    pub(super) fn edits(&self, lifecycle: &Lifecycle, upstream: UpstreamFields) -> Vec<Edit> {
        let mut edits = Vec::new();
        if upstream == UpstreamFields::Remove {
            let names = [DEPRECATION, SUNSET];
            let names = names.iter().filter_map(|name| HeaderName::parse(name).ok());
            edits.extend(names.map(Edit::Remove));
            edits.extend(self.without_links());
        }
        for (name, value) in &lifecycle.fields {
            let is_there = upstream == UpstreamFields::Keep && self.says(name, value);
            match name.as_str() {
                _ if is_there => {}
                LINK => edits.push(Edit::Add(name.clone(), value.clone())),
                _ => edits.push(Edit::Set(name.clone(), value.clone())),
            }
        }
        edits
    }

    /// Whether the answer has that field itself; of links, one of that relation.
    fn says(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        if name.as_str() != LINK {
            return self.headers.all(name.as_str()).next().is_some();
        }
        let ours = RELATIONS
            .iter()
            .find(|relation| has_relation(value.as_bytes(), relation));
        let mut own = self.links.iter().flatten().flatten();
        ours.is_some_and(|relation| own.any(|link| has_relation(link, relation)))
    }

    /// The links without those of an age. A field that is not understood goes: it may have one.
    fn without_links(&self) -> Vec<Edit> {
        let is_ours = |link: &&[u8]| {
            RELATIONS
                .iter()
                .any(|relation| has_relation(link, relation))
        };
        let is_touched = |field: &Option<Vec<&[u8]>>| match field {
            None => true,
            Some(links) => links.iter().any(is_ours),
        };
        let Ok(name) = HeaderName::parse(LINK) else {
            return Vec::new();
        };
        if !self.links.iter().any(is_touched) {
            return Vec::new();
        }
        let kept = self.links.iter().flatten().flatten();
        let kept = kept.filter(|link| !is_ours(link));
        let kept = kept.filter_map(|link| HeaderValue::parse(link).ok());
        let kept = kept.map(|value| Edit::Add(name.clone(), value));
        std::iter::once(Edit::Remove(name.clone()))
            .chain(kept)
            .collect()
    }
}

/// The links of a field, between its commas; none if a target or a text is not closed.
fn split(field: &[u8]) -> Option<Vec<&[u8]>> {
    let mut links = Vec::new();
    let mut rest = field;
    loop {
        let end = end_of(rest, b',')?;
        let (link, after) = rest.split_at_checked(end)?;
        let link = link.trim_ascii();
        if !link.is_empty() {
            links.push(link);
        }
        match after.get(1..) {
            Some(after) => rest = after,
            None => return Some(links),
        }
    }
}

/// Where the next mark is outside of targets and texts; the end, if there is none.
fn end_of(bytes: &[u8], mark: u8) -> Option<usize> {
    let (mut in_target, mut in_text, mut is_escaped) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_text => is_escaped = true,
            b'"' if !in_target => in_text = !in_text,
            b'<' if !in_text => in_target = true,
            b'>' if !in_text => in_target = false,
            byte if *byte == mark && !in_target && !in_text => return Some(at),
            _ => {}
        }
    }
    (!in_target && !in_text).then_some(bytes.len())
}

/// Whether a link has that relation, alone or among others (RFC 8288 §3.3).
fn has_relation(link: &[u8], relation: &str) -> bool {
    let mut rest = link;
    while let Some((part, after)) = end_of(rest, b';').and_then(|end| rest.split_at_checked(end)) {
        let mut halves = part.splitn(2, |b| *b == b'=');
        let name = halves.next().unwrap_or_default().trim_ascii();
        if let (true, Some(value)) = (name.eq_ignore_ascii_case(b"rel"), halves.next()) {
            let value = value.trim_ascii();
            let bare = value.strip_prefix(b"\"");
            let value = bare
                .and_then(|bare| bare.strip_suffix(b"\""))
                .unwrap_or(value);
            // The first counts.
            return value
                .split(|b| b.is_ascii_whitespace())
                .any(|each| each.eq_ignore_ascii_case(relation.as_bytes()));
        }
        match after.get(1..) {
            Some(after) => rest = after,
            None => break,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_whatever_stands_in_them() {
        let field = br#"<https://a.example/?x=1,2;rel=sunset>; title="a, \"b\"; rel=sunset"; rel="next prev", </g>;REL=Sunset"#;
        let links = split(field).unwrap();
        assert_eq!(links.len(), 2);
        let [first, second] = links[..] else { panic!() };
        assert!(has_relation(first, "next") && has_relation(first, "prev"));
        assert!(!has_relation(first, "sunset"));
        assert!(has_relation(second, "sunset"));
        assert_eq!(split(b"<a"), None);
        assert_eq!(split(b"<a>; title=\"b"), None);
        assert_eq!(split(b"").unwrap(), [b""; 0]);
    }

    #[test]
    fn only_links_of_an_age_go() {
        let mut headers = Headers::default();
        headers.push(b"link", b"</2>; rel=next, </g>; rel=deprecation");
        headers.push(b"link", b"</3>; rel=last");
        let edits = OwnFields::of(&headers).without_links();
        let [Edit::Remove(_), Edit::Add(_, next), Edit::Add(_, last)] = &edits[..] else {
            panic!("{edits:?}");
        };
        assert_eq!(next.as_bytes(), b"</2>; rel=next");
        assert_eq!(last.as_bytes(), b"</3>; rel=last");
        let mut plain = Headers::default();
        plain.push(b"link", b"</2>; rel=next");
        assert!(OwnFields::of(&plain).without_links().is_empty());
    }
}
