//! The security requirements of an OpenAPI document: which credentials an operation asks for.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::document::Reader;
use crate::authn::operation::{
    Demand, ListMeaning, OperationSecurity, SchemeAuthority, SchemePlace,
};
use portcullis_document::{DidYouMean, Node, Problems, Quoted};
use portcullis_exchange::section::Sections;
use portcullis_schema::Dialect;
use portcullis_wire::sort;

/// What its security schemes stand for, and what was read of its requirements.
pub(super) struct Security<'d> {
    schemes: BTreeMap<String, Scheme>,
    /// The requirements of operations that have none of their own, once they have been read.
    usual: Option<Option<Rc<OperationSecurity>>>,
    /// What has no counterpart, and has been reported.
    reported: Vec<&'d str>,
    document: Node<'d>,
}

/// A scheme that is used.
struct Scheme {
    /// None if something is wrong with it, and has been reported.
    authority: Option<SchemeAuthority>,
    listed: ListMeaning,
    is_used: bool,
}

impl<'d> Security<'d> {
    /// Reads `security` of the block: the schemes of the document, each with what it stands for.
    pub(super) fn read(
        node: &Node<'_>,
        document: &Node<'d>,
        sections: &Sections,
        reader: &mut Reader<'d, '_>,
    ) -> Option<Self> {
        let entries = node.members(reader.problems)?;
        if entries.is_empty() {
            node.report(
                reader.problems,
                "must have a member for each security scheme that operations ask for",
            );
            return None;
        }
        let count = entries.len();
        let declared = reader.security_schemes();
        let schemes = entries.into_iter().filter_map(|(name, node)| {
            let Some((_, scheme)) = declared.iter().find(|(each, _)| *each == name) else {
                let near = DidYouMean(name, declared.iter().map(|(name, _)| *name));
                node.report(
                    reader.problems,
                    format_args!("the API has no security scheme {}{near}", Quoted(name)),
                );
                return None;
            };
            let authority = SchemeAuthority::read(&node, sections, reader.problems)?;
            let (place, listed) = what_it_is(scheme, reader.dialect, &node, reader.problems)?;
            // The block of what it names may be wrong, and have been reported.
            if let Some(authority) = &authority {
                authority.check(place, &node, reader.problems)?;
            }
            Some((
                name.to_owned(),
                Scheme {
                    authority,
                    listed,
                    is_used: false,
                },
            ))
        });
        let schemes = sort::map(schemes);
        (schemes.len() == count).then(|| Self {
            schemes,
            usual: None,
            reported: Vec::new(),
            document: document.clone(),
        })
    }

    /// What an operation asks for, whose own requirements stand there, or which has none.
    pub(super) fn of_operation(
        &mut self,
        own: Option<&Node<'d>>,
        root: &Node<'d>,
        problems: &mut Problems,
    ) -> Option<Rc<OperationSecurity>> {
        if let Some(own) = own {
            return self.requirements(own, problems).map(Rc::new);
        }
        if let Some(usual) = &self.usual {
            return usual.clone();
        }
        let usual = match root.member("security") {
            Some(node) => self.requirements(&node, problems),
            None => OperationSecurity::new(Vec::new(), &[], root.pointer(), &self.document),
        };
        self.usual.insert(usual.map(Rc::new)).clone()
    }

    /// The names of schemes that no operation asks for.
    pub(super) fn unused(&self) -> impl Iterator<Item = &str> {
        let unused = self.schemes.iter().filter(|(_, scheme)| !scheme.is_used);
        unused.map(|(name, _)| name.as_str())
    }

    fn requirements(
        &mut self,
        node: &Node<'d>,
        problems: &mut Problems,
    ) -> Option<OperationSecurity> {
        let items = node.items(problems)?;
        if items.len() > OperationSecurity::MOST {
            let most = OperationSecurity::MOST;
            node.report(problems, format_args!("has more than {most} items"));
            return None;
        }
        let mut names: Vec<&'d str> = Vec::new();
        let mut alternatives = Vec::with_capacity(items.len());
        let mut good = true;
        for item in &items {
            let Some(members) = item.members(problems) else {
                good = false;
                continue;
            };
            if members.len() > OperationSecurity::MOST {
                let most = OperationSecurity::MOST;
                item.report(problems, format_args!("has more than {most} members"));
                good = false;
                continue;
            }
            let mut demands = Vec::with_capacity(members.len());
            for (name, list) in members {
                let demand = self.demand(name, &list, problems);
                good &= demand.is_some();
                demands.extend(demand);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            alternatives.push(demands);
        }
        // One that cannot be read must not be taken for one that asks for nothing.
        good.then_some(())?;
        let of = names
            .iter()
            .filter_map(|name| self.schemes.get(*name)?.authority.as_ref());
        let of: Vec<&SchemeAuthority> = of.collect();
        OperationSecurity::new(alternatives, &of, node.pointer(), &self.document)
    }

    fn demand(
        &mut self,
        name: &'d str,
        list: &Node<'d>,
        problems: &mut Problems,
    ) -> Option<Demand> {
        let Some(scheme) = self.schemes.get_mut(name) else {
            // One message is enough, however often it is asked for.
            if !self.reported.contains(&name) {
                self.reported.push(name);
                list.report(
                    problems,
                    format_args!(
                        "the security scheme {} has no counterpart: say in `security` of the route's `openapi` block which provider, API key store, certificate set or introspection server it stands for, or take it out of the API; without it nobody would check",
                        Quoted(name)
                    ),
                );
            }
            return None;
        };
        scheme.is_used = true;
        let listed = scheme.listed;
        scheme.authority.as_ref()?.demand(list, listed, problems)
    }
}

/// Where clients put what a scheme asks for, and what the lists of its requirements mean.
fn what_it_is<'d>(
    scheme: &Node<'d>,
    dialect: Dialect,
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<(SchemePlace<'d>, ListMeaning)> {
    let text = |name| scheme.member(name).and_then(|node| node.json().as_str());
    // OpenAPI 3.1: names of roles, for every scheme that has no scopes.
    let roles = match dialect {
        Dialect::OpenApi31 => ListMeaning::Roles,
        _ => ListMeaning::Nothing,
    };
    let place = match (text("type"), text("scheme"), text("in"), text("name")) {
        (Some("oauth2" | "openIdConnect"), ..) => {
            return Some((SchemePlace::Authorization("Bearer"), ListMeaning::Scopes));
        }
        (Some("http"), Some(word), ..) => SchemePlace::Authorization(word),
        (Some("apiKey"), _, Some("header"), Some(name)) => SchemePlace::Header(name),
        (Some("apiKey"), _, Some("query"), Some(name)) => SchemePlace::Query(name),
        (Some("apiKey"), _, Some("cookie"), Some(name)) => SchemePlace::Cookie(name),
        (Some("mutualTLS"), ..) if dialect == Dialect::OpenApi31 => SchemePlace::Certificate,
        _ => {
            let at = scheme.pointer();
            node.report(
                problems,
                format_args!(
                    "the security scheme at {at} cannot be read: it is of type `oauth2`, `openIdConnect`, `http` with `scheme`, `apiKey` with `name` and `in`, or `mutualTLS` in OpenAPI 3.1"
                ),
            );
            return None;
        }
    };
    Some((place, roles))
}
