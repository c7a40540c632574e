//! Who calls, as a credential proves it.
//!
//! Every kind of credential writes a [`Principal`], and whatever goes by the caller reads it: limits
//! and their tiers, the record, security events, what the upstream is told.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis_wire::json::compact::{Compact, Value};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// By what it was proven.
    pub kind: CredentialKind,
    /// Who vouches for it: the name in the document of the provider, or of the store.
    pub authority: Rc<str>,
    /// All that is known: the claims of an accepted token. A kind of credential that has no claims
    /// writes what it knows under their names (`sub`, `scope`). So one that is remembered is handed
    /// on without a copy, and nobody reads two places for one fact.
    pub attributes: Compact,
    /// What they are, by the `roles` of who vouches for them; none where that has no such rules.
    pub roles: Roles,
}

/// The roles of a caller, each once, in the order of their bytes. A copy shares its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Option<Rc<str>>);

/// Why names are not the roles of anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RolesError {
    /// One of them has no bytes, or more than [`Roles::LONGEST`].
    Length,
    /// One of them has a control character.
    Characters,
    /// There are more than [`Roles::MOST`], or they take more than [`Roles::MOST_BYTES`].
    TooMany,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JSON Web Token.
    Jwt,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// A signature of the request.
    SignedRequest,
    /// A token that its issuer was asked about.
    Introspection,
}

impl CredentialKind {
    /// The word in the log: the name of the policy that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            CredentialKind::Jwt => "jwt",
            CredentialKind::ApiKey => "api_key",
            CredentialKind::Certificate => "certificate",
            CredentialKind::SignedRequest => "signed_request",
            CredentialKind::Introspection => "introspection",
        }
    }
}

impl Principal {
    /// The `sub` claim.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// Whether they have that role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.has(role)
    }

    /// How many bytes of memory its attributes and its roles take.
    pub fn memory(&self) -> usize {
        self.attributes.size().saturating_add(self.roles.memory())
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attributes.member(name).and_then(Value::as_str)
    }
}

/// Stands between two roles: no role has a control character.
const BETWEEN: char = '\n';

impl Roles {
    /// The most roles of one caller.
    pub const MOST: usize = 256;
    /// The most bytes that they take together, with one between two of them.
    pub const MOST_BYTES: usize = 8192;
    /// The longest role, in bytes.
    pub const LONGEST: usize = 256;

    /// Whether that may be a role.
    ///
    /// # Errors
    /// [`RolesError`].
    pub fn check(role: &str) -> Result<(), RolesError> {
        if role.is_empty() || role.len() > Self::LONGEST {
            return Err(RolesError::Length);
        }
        match role.chars().any(char::is_control) {
            true => Err(RolesError::Characters),
            false => Ok(()),
        }
    }

    /// Those roles, however often each is named.
    ///
    /// # Errors
    /// [`RolesError`]. Nothing is left out in silence: who lacks a role may be let in for it.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, RolesError> {
        let mut collected = CollectedRoles::default();
        for name in names {
            collected.add(name)?;
        }
        Ok(collected.finish())
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let all = self.0.iter();
        all.flat_map(|joined| joined.split(BETWEEN))
    }

    /// Whether that is one of them.
    pub fn has(&self, role: &str) -> bool {
        self.iter().any(|each| each == role)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How many bytes of memory they take.
    pub fn memory(&self) -> usize {
        /// The counts of an `Rc`, and what an allocator keeps.
        const AROUND: usize = 32;
        let joined = self.0.as_ref();
        joined.map_or(0, |joined| joined.len().saturating_add(AROUND))
    }
}

/// Roles in the making: never more than a caller may have.
#[derive(Debug, Default)]
pub struct CollectedRoles<'n> {
    names: BTreeSet<&'n str>,
    bytes: usize,
}

impl<'n> CollectedRoles<'n> {
    /// Adds one, unless it is there.
    ///
    /// # Errors
    /// [`RolesError`].
    pub fn add(&mut self, name: &'n str) -> Result<(), RolesError> {
        Roles::check(name)?;
        if self.names.insert(name) {
            self.bytes = self.bytes.saturating_add(name.len()).saturating_add(1);
        }
        match self.names.len() > Roles::MOST || self.bytes > Roles::MOST_BYTES {
            true => Err(RolesError::TooMany),
            false => Ok(()),
        }
    }

    /// What has been added.
    pub fn finish(self) -> Roles {
        let mut joined = String::with_capacity(self.bytes);
        for name in self.names {
            if !joined.is_empty() {
                joined.push(BETWEEN);
            }
            joined.push_str(name);
        }
        Roles((!joined.is_empty()).then(|| joined.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Result<Vec<String>, RolesError> {
        let roles = Roles::of(names.iter().copied())?;
        Ok(roles.iter().map(str::to_owned).collect())
    }

    #[test]
    fn each_role_is_there_once_and_is_found_whole() {
        assert_eq!(
            listed(&["b", "a", "b", "Domain Users"]).unwrap(),
            ["Domain Users", "a", "b"]
        );
        let roles = Roles::of(["admin", "user"]).unwrap();
        assert!(roles.has("admin") && roles.has("user"));
        for other in ["", "adm", "admin\nuser", "Admin", "admin ", "\n"] {
            assert!(!roles.has(other), "{other:?}");
        }
        let none = Roles::of([]).unwrap();
        assert_eq!((none.is_empty(), none.iter().count()), (true, 0));
        assert_eq!((none.has(""), none.memory()), (false, 0));
        assert_eq!(none, Roles::default());
    }

    #[test]
    fn what_cannot_be_a_role_is_an_error_and_so_are_too_many() {
        for (name, error) in [
            ("", RolesError::Length),
            (&*"a".repeat(257), RolesError::Length),
            ("a\nb", RolesError::Characters),
            ("a\u{0}", RolesError::Characters),
            ("a\u{85}", RolesError::Characters),
        ] {
            assert_eq!(listed(&["x", name]), Err(error), "{name:?}");
        }
        let names: Vec<String> = (0..257).map(|number| format!("r{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(listed(&names), Err(RolesError::TooMany));
        assert_eq!(listed(&names[1..]).unwrap().len(), 256);
        let twice: Vec<&str> = names[1..].iter().chain(&names[1..]).copied().collect();
        assert_eq!(listed(&twice).unwrap().len(), 256);
        let long: Vec<String> = (100..133)
            .map(|number| format!("{number}{:0253}", 0))
            .collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert_eq!(listed(&long), Err(RolesError::TooMany));
        let roles = Roles::of(long[..31].iter().copied()).unwrap();
        assert!(roles.memory() >= 31 * 256);
    }
}
