//! Credentials of different kinds: a token, or a key, or a certificate; or one of each.

pub mod refusals;

use portcullis_document::{Fields, Node};
use portcullis_exchange::policy::{ChainPart, Compile, Context, PolicyKind, Role, Stage};
use portcullis_exchange::refusal::Selector;

use self::refusals::{INSUFFICIENT, MISSING, NO_CREDENTIAL};
use super::api_key::StoreRequirement;
use super::certificate::CertificateRequirement;
use super::challenge::{Challenges, metadata_parameter, read_metadata, read_realm};
use super::combination::{Needed, Presence};
use super::introspection::{ServerRequirement, is_opaque, is_signed_jwt};
use super::jwt::ProviderRequirement;
use super::left_out::unless_left_out;
use super::member::{About, Kin, Member, TokenShape, kin};
use super::mixed::Mixed;

/// `credentials: { any_of, all_of, optional, realm, resource_metadata }`, or one member in the place of the list.
pub const KIND: PolicyKind = PolicyKind {
    name: "credentials",
    role: Role::Authenticates,
    codes: &[&MISSING, &INSUFFICIENT],
    compile: Compile::Object(unless_left_out(compile)),
    rules: &[(Selector::Code(&MISSING), "any_of")],
};

/// The most members of a list: each may be judged.
const MAX_MEMBERS: usize = 8;

/// What may be a member.
const KINDS: &[MemberKind] = &[
    MemberKind::of::<ProviderRequirement>(),
    MemberKind::of::<StoreRequirement>(),
    MemberKind::of::<CertificateRequirement>(),
    MemberKind::of::<ServerRequirement>(),
];

/// A kind of member, without its type.
struct MemberKind {
    name: &'static str,
    challenge: fn(&About<'_>) -> Option<String>,
    read: ReadMembers,
}

/// Reads the members of one kind; none if something is wrong with one.
type ReadMembers = fn(&[WrittenMember<'_>], &About<'_>, &mut Context<'_>) -> Option<Box<dyn Kin>>;

/// A member as it is written.
struct WrittenMember<'d> {
    /// Its place in the list.
    place: usize,
    /// What kind it is: the place in [`KINDS`].
    kind: usize,
    /// In the block of the policy: a JSON pointer.
    at: String,
    node: Node<'d>,
}

impl MemberKind {
    const fn of<M: Member>() -> Self {
        Self {
            name: M::NAME,
            challenge: M::challenge_alone,
            read: read_kind::<M>,
        }
    }
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let realm = fields.or_default("realm", "api", context.problems, read_realm);
    let presence = Presence::read(fields, context.problems);
    let is_named = fields.optional("resource_metadata");
    let is_named = is_named.filter(|node| !node.is_off());
    let metadata = read_metadata(fields, context);
    let (needed, items) = read_items(fields, context)?;
    // What stands beside a realm or an item that is wrong is read all the same.
    let named = realm.unwrap_or("api");
    let count = items.len();
    let items: Vec<WrittenMember<'_>> = items.into_iter().flatten().collect();
    let are_read = items.len() == count;
    let mut order: Vec<usize> = Vec::new();
    for item in &items {
        if !order.contains(&item.kind) {
            order.push(item.kind);
        }
    }
    let kinds: Vec<&MemberKind> = order.iter().filter_map(|kind| KINDS.get(*kind)).collect();
    let alone = About {
        at: "",
        realm: named,
        metadata: metadata.as_deref().unwrap_or_default(),
        beside: "",
    };
    let challenges = kinds.iter().map(|kind| (kind.challenge)(&alone));
    let challenges: Vec<Option<String>> = challenges.collect();
    let mut texts = challenges.iter().flatten();
    let is_told = texts.any(|text| text.ends_with(&metadata_parameter(alone.metadata)));
    if let Some(node) = is_named.filter(|_| are_read && !is_told) {
        node.report(
            context.problems,
            "says nothing here: no member is a token, and only the challenge of a token names metadata",
        );
        return None;
    }
    let mut read = Vec::with_capacity(kinds.len());
    let mut rest = items;
    for (index, kind) in kinds.iter().enumerate() {
        let is_of_kind = |item: &WrittenMember<'_>| {
            let found = KINDS.get(item.kind);
            found.is_some_and(|found| found.name == kind.name)
        };
        let (own, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(is_of_kind);
        rest = others;
        let beside = match needed {
            Needed::Any => joined(&challenges, Some(index)),
            Needed::All => String::new(),
        };
        let about = About {
            beside: &beside,
            ..alone
        };
        read.push((kind.read)(&own, &about, context));
    }
    let mut read = read.into_iter().collect::<Option<Vec<_>>>()?;
    (are_read && realm.is_some() && metadata.is_some()).then_some(())?;
    if needed == Needed::Any {
        share_places(&mut read);
    }
    if let Some(problem) = shared_place(&kinds, &read, needed) {
        context.problems.report(fields.pointer(), problem);
        return None;
    }
    let challenges: Vec<Option<String>> = read.iter().map(|kin| kin.challenge(&alone)).collect();
    let challenges = Challenges::none(&MISSING)?.beside(&joined(&challenges, None))?;
    let missing = (&NO_CREDENTIAL, challenges);
    let policy = Mixed::new(needed, presence?, read, count, missing);
    Some(ChainPart::only(Stage::Credentials, policy))
}

/// The challenges of all kinds but one, each once.
fn joined(challenges: &[Option<String>], without: Option<usize>) -> String {
    let own = without.and_then(|index| challenges.get(index)?.as_deref());
    let others = challenges.iter().enumerate();
    let others = others.filter(|(index, _)| Some(*index) != without);
    let mut texts: Vec<&str> = Vec::with_capacity(challenges.len());
    let all: Vec<&str> = challenges.iter().flatten().map(String::as_str).collect();
    for text in others.filter_map(|(_, text)| text.as_deref()) {
        let is_said = all.iter().any(|all| begins_with(all, text));
        if Some(text) != own && !texts.contains(&text) && !is_said {
            texts.push(text);
        }
    }
    texts.join(", ")
}

/// Whether those challenges begin with this one, and have others behind it.
fn begins_with(challenges: &str, one: &str) -> bool {
    let rest = challenges.strip_prefix(one);
    rest.is_some_and(|rest| rest.starts_with(", "))
}

/// Lets signed JWTs and other tokens stand in the same places: what is one kind's is told by its form. Only
/// where both kinds look in all of them, so that what is left to the other is judged there.
fn share_places(read: &mut [Box<dyn Kin>]) {
    let of = |read: &[Box<dyn Kin>], shape| read.iter().position(|kin| kin.shape() == shape);
    let Some(signed) = of(read, TokenShape::SignedJwt) else {
        return;
    };
    let Some(opaque) = of(read, TokenShape::Opaque) else {
        return;
    };
    let places = |place: usize| read.get(place).map(|kin| kin.locations());
    let (Some(ones), Some(others)) = (places(signed), places(opaque)) else {
        return;
    };
    let mut pairs = ones
        .iter()
        .flat_map(|one| others.iter().map(move |other| (one, other)));
    if !pairs.all(|(one, other)| one == other) {
        return;
    }
    if let Some(kin) = read.get_mut(signed) {
        kin.take_only(is_signed_jwt);
    }
    if let Some(kin) = read.get_mut(opaque) {
        kin.take_only(is_opaque);
    }
}

/// The members, none for one that is wrong, and how many of them must accept a credential.
fn read_items<'d>(
    fields: &mut Fields<'d>,
    context: &mut Context<'_>,
) -> Option<(Needed, Vec<Option<WrittenMember<'d>>>)> {
    let problems = &mut *context.problems;
    let any_of = fields.optional("any_of");
    let all_of = fields.optional("all_of");
    let (needed, name, list) = match (any_of, all_of) {
        (Some(_), Some(second)) => {
            second.report(problems, "cannot stand beside `any_of`; keep one of them");
            return None;
        }
        (Some(list), None) => (Needed::Any, "any_of", list),
        (None, Some(list)) => (Needed::All, "all_of", list),
        (None, None) => {
            let item = read_item(fields, 0, "", &["any_of", "all_of"], context)?;
            return Some((Needed::Any, vec![Some(item)]));
        }
    };
    let nodes = list.items(problems)?;
    if nodes.is_empty() {
        list.report(problems, "must not be empty");
        return None;
    }
    if nodes.len() > MAX_MEMBERS {
        list.report(problems, format_args!("has more than {MAX_MEMBERS} items"));
        return None;
    }
    let mut items = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.iter().enumerate() {
        let item = node.fields(context.problems).and_then(|mut fields| {
            let at = format!("/{name}/{place}");
            let item = read_item(&mut fields, place, &at, &[], context);
            fields.deny_unknown(context.problems);
            item
        });
        items.push(item);
    }
    Some((needed, items))
}

/// The one member that an object is.
fn read_item<'d>(
    fields: &mut Fields<'d>,
    place: usize,
    at: &str,
    instead: &[&'static str],
    context: &mut Context<'_>,
) -> Option<WrittenMember<'d>> {
    let problems = &mut *context.problems;
    let mut found = None;
    for (kind, MemberKind { name, .. }) in KINDS.iter().enumerate() {
        let Some(node) = fields.optional(name) else {
            continue;
        };
        if found.is_some() {
            node.report(problems, "is a second kind; make it an item of its own");
            return None;
        }
        let at = format!("{at}/{name}");
        found = Some(WrittenMember {
            place,
            kind,
            at,
            node,
        });
    }
    if found.is_none() {
        let kinds = KINDS.iter().map(|kind| kind.name);
        let names: Vec<&str> = instead.iter().copied().chain(kinds).collect();
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        fields.lacks(
            &names,
            problems,
            format_args!("needs one of {}", listed.join(", ")),
        );
    }
    found
}

/// The members of one kind.
fn read_kind<M: Member>(
    items: &[WrittenMember<'_>],
    about: &About<'_>,
    context: &mut Context<'_>,
) -> Option<Box<dyn Kin>> {
    let members = items.iter().map(|item| {
        let mut fields = item.node.object(context.problems, M::EXAMPLE)?;
        let about = About {
            at: &item.at,
            ..*about
        };
        let member = M::read(&mut fields, &about, context);
        fields.deny_unknown(context.problems);
        // What it names may be wrong, and has been reported there.
        Some((item.place, member??))
    });
    let members: Vec<Option<(usize, M)>> = members.collect();
    kin(members.into_iter().collect::<Option<_>>()?, about)
}

/// What is wrong where two kinds would take one and the same for their credential.
fn shared_place(kinds: &[&MemberKind], read: &[Box<dyn Kin>], needed: Needed) -> Option<String> {
    let mut rest: Vec<(&&MemberKind, &Box<dyn Kin>)> = kinds.iter().zip(read).collect();
    while let Some((kind, kin)) = rest.pop() {
        for (other, others) in &rest {
            if kin.is_told_by_form() && others.is_told_by_form() {
                continue;
            }
            let mut pairs = kin.locations().into_iter().flat_map(|own| {
                let others = others.locations().into_iter();
                others.map(move |other| (own, other))
            });
            if let Some(place) = pairs.find_map(|(own, other)| own.shared_with(other)) {
                let pair = [(*kind, &**kin), (**other, &***others)];
                let cure = cure_of_tokens(pair).filter(|_| needed == Needed::Any);
                return Some(format!(
                    "`{}` and `{}` both look for credentials in `{place}`: each would take the other's for its own; {}",
                    other.name,
                    kind.name,
                    cure.unwrap_or("give one of them another place or prefix")
                ));
            }
        }
    }
    None
}

/// What has signed JWTs and other tokens told by their form where both stand in one place, if it is those.
fn cure_of_tokens(pair: [(&MemberKind, &dyn Kin); 2]) -> Option<&'static str> {
    let names = pair.map(|(kind, _)| kind.name);
    let are_tokens =
        names.contains(&ProviderRequirement::NAME) && names.contains(&ServerRequirement::NAME);
    let is_opaque = pair
        .iter()
        .any(|(_, kin)| kin.shape() == TokenShape::Opaque);
    are_tokens.then_some(match is_opaque {
        true => "let both look in the same places and nowhere else, and take proofs (`dpop` in `bound`) both or neither: then signed JWTs are `jwt`'s, and all else is asked about; or give one of them another place",
        false => "take `tokens: any` out of the server: then signed JWTs are `jwt`'s, and all else is asked about; or give one of them another place",
    })
}
