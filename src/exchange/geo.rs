//! Where a client's address is, and whose: what Envoy's geoip filter has found in its database, and writes
//! into header fields.
//!
//! Such a field says so only where the proxy takes the client's own away, which is up to its configuration: so
//! they are read only if the document names them.

use std::fmt;

use portcullis_document::{Node, Problems};
use portcullis_wire::headers::{HeaderName, Headers, Repeated};

use crate::route::read_header_name;
use crate::section::{Reading, Section};

/// The document's `geo`.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    country: Option<HeaderName>,
    asn: Option<HeaderName>,
    missing: MissingGeo,
}

/// What a request comes to whose address the database does not know: the proxy sets no field then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum MissingGeo {
    /// It is not known where it comes from.
    #[default]
    Refuse,
    /// It comes from no country, and no network of anybody's.
    Nowhere,
}

/// Where a request comes from, in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located<T> {
    /// From there.
    At(T),
    /// From nowhere that has a name.
    Nowhere,
    /// That is not known, or not named so that it can be read: nothing may be made of that but a refusal.
    Unknown,
}

/// A country, ISO 3166-1 alpha-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// The number of an autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Geo {
    /// Whether the document says which field names the country.
    pub fn has_country(&self) -> bool {
        self.country.is_some()
    }

    /// Whether it says which names the autonomous system.
    pub fn has_asn(&self) -> bool {
        self.asn.is_some()
    }

    /// The field that names the country.
    pub fn country_field(&self) -> Option<&HeaderName> {
        self.country.as_ref()
    }

    /// The field that names the autonomous system.
    pub fn asn_field(&self) -> Option<&HeaderName> {
        self.asn.as_ref()
    }

    /// The country that a request comes from.
    pub fn country(&self, headers: &Headers) -> Located<Country> {
        self.country_in(one(self.country.as_ref(), headers))
    }

    /// The autonomous system that it comes from.
    pub fn asn(&self, headers: &Headers) -> Located<Asn> {
        self.asn_in(one(self.asn.as_ref(), headers))
    }

    /// The country that is named by what a request has in that field.
    pub fn country_in(&self, value: Result<Option<&[u8]>, Repeated>) -> Located<Country> {
        self.read(self.has_country(), value, Country::parse)
    }

    /// The autonomous system that is named by what it has in that field.
    pub fn asn_in(&self, value: Result<Option<&[u8]>, Repeated>) -> Located<Asn> {
        self.read(self.has_asn(), value, Asn::parse)
    }

    /// The country that the proxy names; none if it names none that can be read.
    ///
    /// # Errors
    /// [`Repeated`].
    pub fn sent_country(&self, headers: &Headers) -> Result<Option<Country>, Repeated> {
        let value = one(self.country.as_ref(), headers)?;
        Ok(value.and_then(Country::parse))
    }

    /// The autonomous system that the proxy names; none if it names none that can be read.
    ///
    /// # Errors
    /// [`Repeated`].
    pub fn sent_asn(&self, headers: &Headers) -> Result<Option<Asn>, Repeated> {
        let value = one(self.asn.as_ref(), headers)?;
        Ok(value.and_then(Asn::parse))
    }

    fn read<T>(
        &self,
        has_field: bool,
        value: Result<Option<&[u8]>, Repeated>,
        parse: fn(&[u8]) -> Option<T>,
    ) -> Located<T> {
        match value {
            Ok(Some(value)) => parse(value).map_or(Located::Unknown, Located::At),
            Ok(None) if has_field && self.missing == MissingGeo::Nowhere => Located::Nowhere,
            Ok(None) | Err(Repeated) => Located::Unknown,
        }
    }
}

impl Country {
    /// Reads two letters of either case.
    pub fn parse(written: &[u8]) -> Option<Self> {
        let letters: [u8; 2] = written.try_into().ok()?;
        let letters = letters.map(|letter| letter.to_ascii_uppercase());
        letters
            .iter()
            .all(u8::is_ascii_uppercase)
            .then_some(Self(letters))
    }

    /// Reads one from the document.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let written = node.text(problems)?;
        let country = Self::parse(written.as_bytes());
        if country.is_none() {
            node.report(
                problems,
                "is no country: write the two letters of ISO 3166-1, such as \"DE\"",
            );
        }
        country
    }

    /// Its two letters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Asn {
    /// Reads a number in decimal.
    pub fn parse(written: &[u8]) -> Option<Self> {
        let plain = written.iter().all(u8::is_ascii_digit) && written.len() <= 10;
        let text = std::str::from_utf8(written).ok().filter(|_| plain)?;
        text.parse().ok().map(Self)
    }

    /// Reads one from the document.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let number = node.integer(problems, 1..=u64::from(u32::MAX))?;
        u32::try_from(number).ok().map(Self)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

impl Section for Geo {
    const NAME: &'static str = "geo";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems: &mut Problems = reading.problems;
        let mut fields = node.object(problems, "{\"country\": \"x-geo-country\"}")?;
        let country = read_name(fields.optional("country"), problems);
        let asn = read_name(fields.optional("asn"), problems);
        let missing = MissingGeo::default();
        let missing = fields.or_default("missing", missing, problems, |node, problems| {
            let choices = [
                ("refuse", MissingGeo::Refuse),
                ("nowhere", MissingGeo::Nowhere),
            ];
            node.choice(problems, &choices)
        });
        let (country, asn) = (country?, asn?);
        if country.is_none() && asn.is_none() {
            fields.lacks(
                &["country", "asn"],
                problems,
                "names no field; add `country` or `asn`, as the proxy's geoip filter is told to set them",
            );
            return None;
        }
        if let (Some(one), Some(other)) = (&country, &asn)
            && one == other
        {
            problems.report(
                &fields.pointer().member("asn"),
                "is the field of the country: one field says one thing",
            );
            return None;
        }
        fields.deny_unknown(problems);
        Some(Self {
            country,
            asn,
            missing: missing?,
        })
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

fn one<'h>(name: Option<&HeaderName>, headers: &'h Headers) -> Result<Option<&'h [u8]>, Repeated> {
    name.map_or(Ok(None), |name| headers.one(name.as_str()))
}

fn read_name(node: Option<Node<'_>>, problems: &mut Problems) -> Option<Option<HeaderName>> {
    match node {
        None => Some(None),
        Some(node) => read_header_name(&node, problems).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geo(missing: MissingGeo) -> Geo {
        let name = |text: &str| HeaderName::parse(text).ok();
        Geo {
            country: name("x-geo-country"),
            asn: name("x-geo-asn"),
            missing,
        }
    }

    fn headers(fields: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn countries_are_two_letters() {
        let of = |values: &[&str], missing| {
            let fields: Vec<_> = values
                .iter()
                .map(|value| ("x-geo-country", *value))
                .collect();
            geo(missing).country(&headers(&fields))
        };
        let de = Located::At(Country(*b"DE"));
        for (values, expected) in [
            (&["DE"][..], de),
            (&["de"], de),
            (&[], Located::Unknown),
            (&["DE", "DE"], Located::Unknown),
            (&["DE,FR"], Located::Unknown),
            (&["DEU"], Located::Unknown),
            (&["D1"], Located::Unknown),
            (&[""], Located::Unknown),
            (&[" DE"], Located::Unknown),
        ] {
            assert_eq!(of(values, MissingGeo::Refuse), expected, "{values:?}");
        }
        assert_eq!(of(&[], MissingGeo::Nowhere), Located::Nowhere);
        assert_eq!(of(&["?"], MissingGeo::Nowhere), Located::Unknown);
        assert_eq!(Geo::default().country(&headers(&[])), Located::Unknown);
    }

    #[test]
    fn systems_are_numbers() {
        for (value, expected) in [
            ("64512", Located::At(Asn(64512))),
            ("4294967295", Located::At(Asn(u32::MAX))),
            ("4294967296", Located::Unknown),
            ("+1", Located::Unknown),
            ("AS64512", Located::Unknown),
            ("", Located::Unknown),
        ] {
            let found = geo(MissingGeo::Refuse).asn(&headers(&[("x-geo-asn", value)]));
            assert_eq!(found, expected, "{value}");
        }
    }
}
