//! Tags: their names, their attributes, and what these mean.

use portcullis_wire::sort;

use super::chars::{
    AMPERSAND, APOSTROPHE, LESS, NAME, ODD, QUOTE, begins_name, continues_name, find, is,
};
use super::scope::{Attribute, Namespace, Scope, is_inclusion, is_schema_location};
use super::walk::{At, CUT_OFF, Hand};
use super::{XmlFault, XmlName, XmlText, XmlWatch};

/// Where a name's own part begins, behind its prefix, and where it ends.
#[derive(Clone, Copy)]
struct NamePlace {
    start: usize,
    local: usize,
    end: usize,
}

impl Scope {
    /// Reads the tag that ends an element.
    pub(super) fn end_tag(
        &mut self,
        hand: Hand<'_>,
        at: usize,
        watch: &mut dyn XmlWatch,
    ) -> At<Option<usize>> {
        let start = at.saturating_add(2);
        let rest = hand.rest(start);
        let Some(name) = self.innermost() else {
            return Err((XmlFault::Syntax, at));
        };
        if !rest.starts_with(name) {
            let is_cut_off = name.starts_with(rest);
            return if is_cut_off {
                CUT_OFF
            } else {
                Err((XmlFault::Syntax, at))
            };
        }
        let end = hand.skip_blanks(start.saturating_add(name.len()));
        match hand.byte(end) {
            None => return CUT_OFF,
            Some(b'>') => {}
            Some(_) => return Err((XmlFault::Syntax, end)),
        }
        if let Some(open) = self.open.items().last().copied() {
            self.leave(open);
            self.open.truncate(self.open.len().saturating_sub(1));
        }
        watch.ends(self.depth()).map_err(|fault| (fault, at))?;
        Ok(Some(end.saturating_add(1)))
    }

    /// Reads the tag that begins an element.
    pub(super) fn start_tag(
        &mut self,
        hand: Hand<'_>,
        at: usize,
        watch: &mut dyn XmlWatch,
    ) -> At<Option<usize>> {
        let Some(name) = hand.name(at.saturating_add(1))? else {
            return CUT_OFF;
        };
        self.attributes.truncate(0);
        let mut here = name.end;
        let (end, is_empty) = loop {
            let next = hand.skip_blanks(here);
            match (hand.byte(next), hand.byte(next.saturating_add(1))) {
                (None, _) | (Some(b'/'), None) => return CUT_OFF,
                (Some(b'>'), _) => break (next, false),
                (Some(b'/'), Some(b'>')) => break (next.saturating_add(1), true),
                _ if next == here => return Err((XmlFault::Syntax, next)),
                _ if self.attributes.len() >= hand.limits.attributes => {
                    return Err((XmlFault::Attributes, next));
                }
                _ => {}
            }
            let Some(attribute) = hand.attribute(next)? else {
                return CUT_OFF;
            };
            let pushed = self.attributes.push(attribute);
            pushed.map_err(|fault| (fault, next))?;
            here = attribute.value_end.saturating_add(1);
        };
        let written = hand.between(name.start, name.end);
        let open = self.enter(written).map_err(|fault| (fault, at))?;
        self.declare_all(hand)?;
        self.tell_element(hand, name, at, watch)?;
        self.resolve_all(hand, watch)?;
        self.has_twice(hand)?;
        if is_empty {
            self.leave(open);
            watch.ends(self.depth()).map_err(|fault| (fault, at))?;
        } else {
            self.open.push(open).map_err(|fault| (fault, at))?;
        }
        Ok(Some(end.saturating_add(1)))
    }

    /// Notes the namespaces that the tag declares.
    fn declare_all(&mut self, hand: Hand<'_>) -> At<()> {
        let mut place = 0;
        while let Some(attribute) = self.attributes.items().get(place).copied() {
            let local = hand.between(attribute.local, attribute.name_end);
            let prefix = match hand.prefix(attribute) {
                b"" if local == b"xmlns" => Some(&b""[..]),
                b"xmlns" => Some(local),
                // Some readers take it for a declaration, whatever its prefix.
                _ if local == b"xmlns" => return Err((XmlFault::Namespace, attribute.name)),
                _ => None,
            };
            if let Some(prefix) = prefix {
                let uri = XmlText::Value(hand.between(attribute.value, attribute.value_end));
                self.declare(prefix, uri, hand.limits.namespaces)
                    .map_err(|fault| (fault, attribute.name))?;
                if let Some(attribute) = self.attributes.items_mut().get_mut(place) {
                    attribute.namespace = Namespace::XMLNS;
                }
            }
            place = place.saturating_add(1);
        }
        Ok(())
    }

    fn tell_element(
        &self,
        hand: Hand<'_>,
        name: NamePlace,
        at: usize,
        watch: &mut dyn XmlWatch,
    ) -> At<()> {
        let wrong = |fault| (fault, at);
        let (_, namespace) = self.resolve(hand.prefix_of(name)).map_err(wrong)?;
        let name = XmlName {
            namespace,
            local: hand.between(name.local, name.end),
        };
        if is_inclusion(name) {
            return Err(wrong(XmlFault::Inclusion));
        }
        watch.begins(self.depth(), name).map_err(wrong)
    }

    /// Finds out which namespaces the attributes are in, and tells them.
    fn resolve_all(&mut self, hand: Hand<'_>, watch: &mut dyn XmlWatch) -> At<()> {
        let mut place = 0;
        while let Some(attribute) = self.attributes.items().get(place).copied() {
            place = place.saturating_add(1);
            if attribute.namespace == Namespace::XMLNS {
                continue;
            }
            let prefix = hand.prefix(attribute);
            // Without a prefix an attribute is its element's own.
            let resolved = match prefix {
                b"" => Ok((Namespace::NONE, &b""[..])),
                _ => self.resolve(prefix),
            };
            let (resolved, namespace) = resolved.map_err(|fault| (fault, attribute.name))?;
            let name = XmlName {
                namespace,
                local: hand.between(attribute.local, attribute.name_end),
            };
            if is_schema_location(name) && !hand.limits.schema_locations {
                return Err((XmlFault::SchemaLocation, attribute.name));
            }
            watch.attribute(
                name,
                XmlText::Value(hand.between(attribute.value, attribute.value_end)),
            );
            if let Some(attribute) = self.attributes.items_mut().get_mut(place.wrapping_sub(1)) {
                attribute.namespace = resolved;
            }
        }
        Ok(())
    }

    /// Whether two attributes mean the same.
    fn has_twice(&mut self, hand: Hand<'_>) -> At<()> {
        let key = |each: &Attribute| (each.namespace, hand.between(each.local, each.name_end));
        let attributes = self.attributes.items_mut();
        if attributes.len() > 1 {
            sort::sort(attributes, |one, other| key(one).cmp(&key(other)));
        }
        let mut pairs = attributes.iter().zip(attributes.iter().skip(1));
        match pairs.find(|(one, other)| key(one) == key(other)) {
            Some((one, other)) => Err((XmlFault::DuplicateAttribute, one.name.max(other.name))),
            None => Ok(()),
        }
    }
}

impl<'t> Hand<'t> {
    fn prefix(self, attribute: Attribute) -> &'t [u8] {
        self.between(attribute.name, attribute.local.saturating_sub(1))
    }

    fn prefix_of(self, name: NamePlace) -> &'t [u8] {
        self.between(name.start, name.local.saturating_sub(1))
    }

    /// Reads a name; none if it may go on.
    fn name(self, start: usize) -> At<Option<NamePlace>> {
        let most = start.saturating_add(self.limits.name_bytes);
        let (mut local, mut here) = (start, start);
        loop {
            // ASCII, and what only goes on with it.
            let is_first = here == local;
            let next = match self.byte(here) {
                None => return Ok(None),
                Some(byte) if byte.is_ascii() => {
                    let fits = match is_first {
                        true => byte.is_ascii_alphabetic() || byte == b'_',
                        false => is(byte, NAME),
                    };
                    if fits { here.wrapping_add(1) } else { here }
                }
                Some(_) => {
                    let fits = if is_first {
                        begins_name
                    } else {
                        continues_name
                    };
                    let character = self.character_at(here).filter(|each| fits(*each));
                    here.saturating_add(character.map_or(0, char::len_utf8))
                }
            };
            if next > most {
                return Err((XmlFault::NameBytes, most));
            }
            if next > here {
                here = next;
                continue;
            }
            if is_first {
                let has_colon = here > start || self.byte(here) == Some(b':');
                let fault = if has_colon {
                    XmlFault::Namespace
                } else {
                    XmlFault::Syntax
                };
                return Err((fault, here));
            }
            if self.byte(here) != Some(b':') {
                return Ok(Some(NamePlace {
                    start,
                    local,
                    end: here,
                }));
            }
            if local > start {
                return Err((XmlFault::Namespace, here));
            }
            here = here.saturating_add(1);
            local = here;
        }
    }

    /// Reads an attribute; none if it may go on.
    fn attribute(self, start: usize) -> At<Option<Attribute>> {
        let Some(name) = self.name(start)? else {
            return Ok(None);
        };
        let Some(value) = self.quote(name.end)? else {
            return Ok(None);
        };
        let quote = self.byte(value.wrapping_sub(1));
        let quotes = if quote == Some(b'"') {
            QUOTE
        } else {
            APOSTROPHE
        };
        let room = self.limits.attribute_bytes;
        let mut here = value;
        loop {
            here = find(self.bytes(), here, quotes | LESS | AMPERSAND | ODD);
            if here.saturating_sub(value) > room {
                return Err((XmlFault::AttributeBytes, value.saturating_add(room)));
            }
            match self.byte(here) {
                None => return Ok(None),
                Some(b'<') => return Err((XmlFault::Syntax, here)),
                Some(b'&') => match self.reference(here)? {
                    Some(next) => here = next,
                    None => return Ok(None),
                },
                byte if byte == quote => break,
                Some(_) => here = self.character(here)?,
            }
        }
        Ok(Some(Attribute {
            name: start,
            local: name.local,
            name_end: name.end,
            value,
            value_end: here,
            namespace: Namespace::NONE,
        }))
    }
}
