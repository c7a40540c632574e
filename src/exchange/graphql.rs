//! What a GraphQL request asks for, for policies that go by it.

use portcullis_wire::budget::{Reservation, Share, reserve};

/// What a GraphQL request asks for.
#[derive(Debug)]
pub struct GraphqlRequest {
    /// The fields of its operations, each once: `Query.users`.
    fields: Vec<Box<str>>,
    cost: Option<u64>,
    memory: Reservation,
}

/// It cannot be told what a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadGraphql;

/// A pattern for fields of operations: `Query.users`, or `Mutation.*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphqlField(Box<str>);

/// What each field takes beside its name.
const EACH: usize = size_of::<Box<str>>() * 2;

impl GraphqlRequest {
    /// One of which nothing is known yet. None if there is no memory for it.
    pub fn new() -> Option<Self> {
        Some(Self {
            fields: Vec::new(),
            cost: Some(0),
            memory: reserve(Share::Streams, size_of::<Self>())?,
        })
    }

    /// Notes a field of an operation on a type. None if there is no memory for it.
    pub fn add(&mut self, type_name: &str, field: &str) -> Option<()> {
        let is_it = |each: &str| {
            let rest = each.strip_prefix(type_name);
            rest.and_then(|rest| rest.strip_prefix('.')) == Some(field)
        };
        if self.fields.iter().any(|each| is_it(each)) {
            return Some(());
        }
        let name = [type_name, ".", field].concat();
        if !self.memory.grow(name.len().saturating_add(EACH)) {
            return None;
        }
        self.fields.push(name.into());
        Some(())
    }

    /// Notes what an operation costs; nothing if that cannot be told.
    pub fn costs(&mut self, cost: Option<u64>) {
        self.cost = self
            .cost
            .zip(cost)
            .map(|(so_far, cost)| so_far.saturating_add(cost));
    }

    /// What all of it costs, if that is known.
    pub fn cost(&self) -> Option<u64> {
        self.cost
    }

    /// The fields of its operations.
    pub fn fields(&self) -> &[Box<str>] {
        &self.fields
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.memory.bytes()
    }
}

impl GraphqlField {
    /// Reads a pattern: one of these types, a dot, and a name or `*`.
    pub fn parse(written: &str, types: &[&str]) -> Option<Self> {
        let (type_name, field) = written.split_once('.')?;
        let is_name = |name: &str| {
            let letter = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
            !name.is_empty()
                && name.bytes().all(letter)
                && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        let is_good = types.contains(&type_name) && (field == "*" || is_name(field));
        is_good.then(|| Self(written.into()))
    }

    /// Whether a field is one of those.
    pub fn has(&self, field: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => field.starts_with(start),
            None => *self.0 == *field,
        }
    }

    /// How many bytes are compared.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Never: there is a type.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_noted_once_and_costs_add_up_while_they_are_known() {
        let mut request = GraphqlRequest::new().unwrap();
        for (type_name, field) in [
            ("Query", "a"),
            ("Query", "b"),
            ("Query", "a"),
            ("Mutation", "a"),
        ] {
            request.add(type_name, field).unwrap();
        }
        let fields: Vec<&str> = request.fields().iter().map(|each| &**each).collect();
        assert_eq!(fields, ["Query.a", "Query.b", "Mutation.a"]);
        request.costs(Some(2));
        request.costs(Some(u64::MAX));
        assert_eq!(request.cost(), Some(u64::MAX));
        request.costs(None);
        request.costs(Some(1));
        assert_eq!(request.cost(), None);
    }

    #[test]
    fn patterns_are_of_one_type() {
        let parse = |written| GraphqlField::parse(written, &["Query", "Mutation"]);
        let has = |written, field| parse(written).unwrap().has(field);
        assert!(has("Query.users", "Query.users") && !has("Query.users", "Query.user"));
        assert!(!has("Query.users", "Mutation.users") && !has("Query.user", "Query.users"));
        assert!(has("Query.*", "Query.users") && !has("Query.*", "Mutation.users"));
        for written in [
            "users",
            "*",
            "*.users",
            "Query.",
            ".users",
            "query.users",
            "Query.a*",
            "Query.a.b",
            "User.a",
            "Query.1",
        ] {
            assert_eq!(parse(written), None, "{written}");
        }
    }
}
