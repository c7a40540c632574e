use super::*;
use crate::authn::Heard;
use crate::authn::api_key::refusals::{MISSING, NO_KEY};
use crate::authn::member::{About, TokenShape};
use portcullis_exchange::exchange::{BodyState, Edit, Facts, Request, Response};
use portcullis_exchange::policy::RoleSource;
use portcullis_exchange::principal::{CredentialKind, Principal, Roles};
use portcullis_exchange::target::{Authority, Target};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::compact::Compact;
use std::rc::Rc;
use std::time::Duration;

/// One member at that place: what it has when it is asked first, and when it is judged.
struct Stub {
    place: usize,
    presented: bool,
    judged: bool,
}

impl Kin for Stub {
    fn locations(&self) -> Vec<&Locations> {
        Vec::new()
    }

    fn authorities(&self) -> Vec<(CredentialKind, Rc<str>)> {
        Vec::new()
    }

    fn role_sources(&self) -> Vec<Rc<dyn RoleSource>> {
        Vec::new()
    }

    fn presented(&self, _: &Request<'_>, _: &dyn Host) -> Result<Vec<usize>, Refusal> {
        Ok(self.presented.then_some(self.place).into_iter().collect())
    }

    fn any(
        &self,
        _: &mut Exchange<'_>,
        _: &dyn Host,
    ) -> Result<Option<(usize, AcceptedCredential)>, NotAccepted> {
        let principal = Some(Principal {
            kind: CredentialKind::ApiKey,
            authority: self.place.to_string().into(),
            attributes: Compact::parse(b"{}", 1).unwrap(),
            roles: Roles::default(),
        });
        let edits = Vec::new().into();
        Ok(self
            .judged
            .then_some((self.place, AcceptedCredential { principal, edits })))
    }

    fn all(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Vec<(usize, AcceptedCredential)>, NotAccepted> {
        Ok(self.any(exchange, host)?.into_iter().collect())
    }

    fn heard(&self, _: &Heard<'_>, _: &mut Exchange<'_>, _: &dyn Host) {}

    fn shape(&self) -> TokenShape {
        TokenShape::Any
    }

    fn is_told_by_form(&self) -> bool {
        false
    }

    fn take_only(&mut self, _: fn(&[u8]) -> bool) {}

    fn has(&self, place: usize) -> bool {
        self.place == place
    }

    fn challenge(&self, _: &About<'_>) -> Option<String> {
        None
    }

    fn edit_response(&self, _: &mut Response<'_>) {}

    fn missing(&self) -> Refusal {
        Refusal::new(&NO_KEY)
    }

    fn resembling(&self, _: &str) -> Refusal {
        Refusal::new(&NO_KEY)
    }

    fn declare(&self, _: Needed, _: &mut Declaration) {}

    fn take_out(&self, _: &mut Vec<Edit>) {}
}

/// Who calls, of members that have that first and that when they are judged.
fn caller(presence: Presence, members: &[(bool, bool)]) -> Result<Option<String>, &'static str> {
    let kinds = members.iter().enumerate();
    let kinds = kinds.map(|(place, (presented, judged))| -> Box<dyn Kin> {
        Box::new(Stub {
            place,
            presented: *presented,
            judged: *judged,
        })
    });
    let missing = (&NO_KEY, Challenges::none(&MISSING).unwrap());
    let mixed = Mixed::new(
        Needed::Any,
        presence,
        kinds.collect(),
        members.len(),
        missing,
    );
    let mut facts = Facts::default();
    let mut exchange = Exchange {
        arrived: Duration::ZERO,
        request: Request {
            headers: &Headers::default(),
            authority: &Authority::default(),
            target: &Target::parse(b"/").unwrap(),
            effort: &Effort::new(1000),
        },
        body: BodyState::Complete,
        route: "r",
        facts: &mut facts,
        preflight: None,
        notes_claimed: false,
        edits: Vec::new(),
        shadow: Vec::new(),
    };
    match mixed.judge(&mut exchange, &MemoryHost::new()) {
        Ok(()) => Ok(facts
            .principal
            .map(|principal| principal.authority.to_string())),
        Err(NotAccepted::Refused(refusal)) => Err(refusal.reason.name),
        Err(NotAccepted::Asks(_)) => Err("asks"),
    }
}

#[test]
fn the_first_that_is_accepted_calls() {
    let both = (true, true);
    for presence in [Presence::Required, Presence::Optional] {
        assert_eq!(caller(presence, &[both, both]), Ok(Some("0".to_owned())));
        let second = [(false, false), both];
        assert_eq!(caller(presence, &second), Ok(Some("1".to_owned())));
    }
    let none = [(false, false); 2];
    assert_eq!(caller(Presence::Required, &none), Err("missing"));
    assert_eq!(caller(Presence::Optional, &none), Ok(None));
}

/// What a proxy tells of a connection may be gone when it is read again.
#[test]
fn what_was_there_and_was_not_judged_does_not_pass() {
    for presence in [Presence::Required, Presence::Optional] {
        for members in [
            &[(true, false)][..],
            &[(true, false), (false, false)],
            &[(true, false), (true, false)],
            &[(true, true), (true, false)],
            &[(true, false), (true, true)],
        ] {
            assert_eq!(caller(presence, members), Err("missing"), "{members:?}");
        }
    }
}
