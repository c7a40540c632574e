//! Which credentials of several kinds a route asks for, and who calls when more than one was accepted.

use super::challenge::Challenges;
use super::combination::{Needed, Presence};
use super::location::Locations;
use super::member::Kin;
use super::places::{Places, Stray};
use super::{AcceptedCredential, Asking, NotAccepted, heard, settle};
use portcullis_exchange::exchange::{Exchange, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{AskedCredentials, Declaration, Policy, Verdict};
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_exchange::wait::Wake;
use portcullis_wire::sort;

/// Asks for credentials of several kinds.
pub(super) struct Mixed {
    needed: Needed,
    presence: Presence,
    /// Each kind, in the order in which the first of its members is listed.
    kinds: Vec<Box<dyn Kin>>,
    /// How many members there are.
    count: usize,
    /// Where all of them look for credentials: what one kind takes is nothing strange to another.
    places: Places,
    missing: &'static Reason,
    challenges: Challenges,
}

impl Mixed {
    /// `missing` is why a request is refused without credentials of which more than one kind would do.
    pub(super) fn new(
        needed: Needed,
        presence: Presence,
        kinds: Vec<Box<dyn Kin>>,
        count: usize,
        missing: (&'static Reason, Challenges),
    ) -> Self {
        let places = Places::of(kinds.iter().flat_map(|kin| kin.locations()));
        let (missing, challenges) = missing;
        Self {
            needed,
            presence,
            kinds,
            count,
            places,
            missing,
            challenges,
        }
    }

    fn judge(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Result<(), NotAccepted> {
        let request = exchange.request;
        let mut presented = Vec::with_capacity(self.count);
        for kin in &self.kinds {
            presented.append(&mut kin.presented(&request, host)?);
        }
        let stray = self.places.stray(&request);
        match (stray, self.presence, presented.len()) {
            (None | Some((Stray::Empty, _)), Presence::Required, 0) => {
                return Err(self.missing(&presented).into());
            }
            (None, _, _) => {}
            (Some((_, place)), _, _) => return Err(self.resembling(place).into()),
        }
        match self.needed {
            _ if presented.is_empty() => {}
            Needed::All if presented.len() < self.count => {
                return Err(self.missing(&presented).into());
            }
            Needed::All => {
                let mut accepted = Vec::with_capacity(self.count);
                let mut asks = None;
                for kin in &self.kinds {
                    let all = unless_asked(kin.all(exchange, host), &mut asks)?;
                    accepted.extend(all.into_iter().flatten());
                }
                if let Some(asking) = asks {
                    return Err(NotAccepted::Asks(asking));
                }
                enter_all(accepted, exchange);
            }
            Needed::Any => {
                let mut first: Option<(usize, AcceptedCredential)> = None;
                let mut others = Vec::new();
                let mut asks = None;
                for kin in &self.kinds {
                    let Some(found) = unless_asked(kin.any(exchange, host), &mut asks)? else {
                        continue;
                    };
                    // It is read again to be judged. What was there then and is not now has not been judged.
                    if found.is_none() && presented.iter().any(|place| kin.has(*place)) {
                        return Err(kin.missing().into());
                    }
                    let rank =
                        |one: &(usize, AcceptedCredential)| (one.1.principal.is_none(), one.0);
                    let Some(found) = found else {
                        continue;
                    };
                    let is_first = first
                        .as_ref()
                        .is_none_or(|first| rank(&found) < rank(first));
                    let other = match is_first {
                        true => first.replace(found),
                        false => Some(found),
                    };
                    others.extend(other.and_then(|(_, other)| other.principal));
                }
                if let Some(asking) = asks {
                    return Err(NotAccepted::Asks(asking));
                }
                let Some((_, accepted)) = first else {
                    return Err(self.missing(&[]).into());
                };
                accepted.enter(exchange);
                // What they tell the service is left out; that they were accepted is known.
                others
                    .into_iter()
                    .for_each(|each| exchange.facts.name(each));
            }
        }
        let edits = &mut exchange.edits;
        self.kinds.iter().for_each(|kin| kin.take_out(edits));
        Ok(())
    }

    /// Why a request is refused that presents credentials to these members alone: if one kind is missing,
    /// that one.
    fn missing(&self, presented: &[usize]) -> Refusal {
        let missing = (0..self.count).filter(|place| !presented.contains(place));
        let missing: Vec<usize> = missing.collect();
        let lacks = |kin: &dyn Kin| missing.iter().all(|place| kin.has(*place));
        match self.kinds.iter().find(|kin| lacks(&***kin)) {
            Some(kin) => kin.missing(),
            None => self.challenges.attach(Refusal::new(self.missing)),
        }
    }

    fn resembling(&self, place: &str) -> Refusal {
        let looks = |kin: &dyn Kin| kin.locations().into_iter().any(|all| all.names(place));
        let mut kinds = self.kinds.iter();
        let found = kinds.find(|kin| looks(&***kin));
        match found.or(self.kinds.first()) {
            Some(kin) => kin.resembling(place),
            None => self.challenges.attach(Refusal::new(self.missing)),
        }
    }
}

/// What a kind has accepted; none while it has to ask, which waits until the others have been judged: what one
/// of them refuses need not be asked about.
fn unless_asked<T>(
    judged: Result<T, NotAccepted>,
    asks: &mut Option<Box<Asking>>,
) -> Result<Option<T>, NotAccepted> {
    match judged {
        Ok(accepted) => Ok(Some(accepted)),
        Err(NotAccepted::Asks(asking)) => {
            asks.get_or_insert(asking);
            Ok(None)
        }
        Err(refused) => Err(refused),
    }
}

/// Leaves in an exchange what several credentials say. The one that is listed first says who calls, and what
/// it tells others counts where two would tell the same.
fn enter_all(mut accepted: Vec<(usize, AcceptedCredential)>, exchange: &mut Exchange<'_>) {
    sort::sort(&mut accepted, |(one, _), (other, _)| one.cmp(other));
    let mut accepted = accepted.into_iter();
    let first = accepted.next();
    let mut others = Vec::new();
    for (_, AcceptedCredential { edits, principal }) in accepted.rev() {
        others.extend(principal);
        exchange.edits.extend(edits.iter().cloned());
    }
    if let Some((_, first)) = first {
        first.enter(exchange);
    }
    others
        .into_iter()
        .for_each(|each| exchange.facts.name(each));
}

impl Policy for Mixed {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        settle(exchange, |exchange| self.judge(exchange, host))
    }

    fn resume(&self, wake: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        if let Some(answer) = heard(&wake) {
            for kin in &self.kinds {
                kin.heard(answer, exchange, host);
            }
        }
        self.check_request(exchange, host)
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        self.kinds
            .iter()
            .for_each(|kin| kin.edit_response(response));
    }

    fn declares(&self) -> Declaration {
        let mut declared = Declaration {
            asks_for: Some(AskedCredentials {
                authorities: self
                    .kinds
                    .iter()
                    .flat_map(|kin| kin.authorities())
                    .collect(),
                roles: self
                    .kinds
                    .iter()
                    .flat_map(|kin| kin.role_sources())
                    .collect(),
                needs_all: self.needed == Needed::All,
                is_optional: self.presence == Presence::Optional,
            }),
            ..Declaration::default()
        };
        for kin in &self.kinds {
            kin.declare(self.needed, &mut declared);
            let locations = kin.locations().into_iter();
            declared
                .judged_request_headers
                .extend(locations.flat_map(Locations::header_names));
        }
        declared
    }
}

#[cfg(test)]
mod tests;
