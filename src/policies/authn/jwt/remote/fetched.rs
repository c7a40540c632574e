//! Published keys as one of the things that are fetched on a schedule: calls, responses and lines
//! of the log. What to ask and when is [`RemoteKeys`]'s own.

use std::borrow::Cow;
use std::time::Duration;

use super::RemoteKeys;
use super::request::{self, FetchOutcome, FetchRequest, FetchTarget};
use super::response::FetchError;
use super::settings::KeyLocation;
use crate::remote::read_answer;
use portcullis_exchange::call::{Call, CallError};
use portcullis_exchange::credentials::Credential;
use portcullis_exchange::fetched::{Errand, Fetched, Next, Note, Purpose, Received, SharedCells};
use portcullis_exchange::host::{Host, Level};
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::whole_response::WholeResponse;

impl Fetched for RemoteKeys {
    fn place(&self) -> String {
        format!("provider {}", self.provider())
    }

    fn noun(&self) -> &'static str {
        "keys"
    }

    fn cells(&self, host: &dyn Host) -> SharedCells {
        let names = self.names(host);
        SharedCells {
            published: format!("jwks/keys/{}", names.keys),
            lease: format!("jwks/lease/{}", names.lease),
        }
    }

    fn credentials(&self) -> &[Credential] {
        &self.source.service.credentials
    }

    fn cooldown(&self) -> Duration {
        self.source.service.limits.cooldown
    }

    fn timing(&self) -> Timing {
        Timing::KeysFetch
    }

    fn due(&self, now: Duration, host: &dyn Host) -> Option<Errand> {
        self.due(now)
            .then(|| self.call(&self.first_request(now), host))
    }

    fn longest(&self, purpose: Purpose) -> usize {
        subject_of(purpose).longest()
    }

    fn received(
        &self,
        now: Duration,
        purpose: Purpose,
        response: Result<WholeResponse, CallError>,
        host: &dyn Host,
    ) -> Option<Received> {
        let subject = subject_of(purpose);
        let answer = read_answer(&response).map_err(FetchError::NoAnswer);
        let settled = self.on_response(now, subject, answer);
        let event = match (subject, settled.outcome) {
            (FetchTarget::KeySet, Ok(())) => Event::KeysFetched,
            (FetchTarget::KeySet, Err(_)) => Event::KeysFetchFailed,
            (FetchTarget::Discovery, Ok(())) => Event::DocumentFetched,
            (FetchTarget::Discovery, Err(_)) => Event::DocumentFetchFailed,
        };
        let notes = self.notes(subject, &settled, host);
        let next = match settled.next {
            request::Next::Ask(request) => Next::Call(self.call(&request, host)),
            request::Next::Share(record) => Next::Publish(record),
            request::Next::Wait(pause) => Next::Wait(pause),
        };
        Some(Received { event, notes, next })
    }

    fn adopt(&self, published: &[u8], now: Duration, _: &dyn Host) -> bool {
        self.adopt(published, now)
    }
}

impl RemoteKeys {
    fn call(&self, request: &FetchRequest, host: &dyn Host) -> Errand {
        let FetchRequest {
            subject,
            cluster,
            uri,
            timeout,
        } = request;
        let mut headers = uri.fields("GET");
        headers.push(("accept".into(), subject.media_types().to_owned()));
        for credential in self.credentials_for(*subject) {
            let field = credential.field(host);
            headers.extend(field.map(|(name, value)| (Cow::Owned(name.to_owned()), value)));
        }
        let call = Call {
            cluster: cluster.clone(),
            headers,
            body: Vec::new(),
            timeout: *timeout,
        };
        let purpose = match subject {
            FetchTarget::Discovery => DOCUMENT,
            FetchTarget::KeySet => KEYS,
        };
        Errand { call, purpose }
    }

    /// The credentials with which a question is put. They are for the host of the document: keys on
    /// another host are asked for without.
    fn credentials_for(&self, subject: FetchTarget) -> &[Credential] {
        match &self.source.place {
            KeyLocation::Discovered(discovery)
                if discovery.keys_cluster.is_some() && subject == FetchTarget::KeySet =>
            {
                &[]
            }
            KeyLocation::Known(_) | KeyLocation::Discovered(_) => &self.source.service.credentials,
        }
    }

    /// What the log is told of a response.
    fn notes(&self, subject: FetchTarget, settled: &FetchOutcome, host: &dyn Host) -> Vec<Note> {
        let shown = |text: String| {
            let tells = self.tells(&text, host);
            let instead = "(left out, since a part of a credential stands in it)";
            if tells { instead.to_owned() } else { text }
        };
        let mut notes = Vec::new();
        let mut note = |level, text| notes.push(Note { level, text });
        if let Some(uri) = &settled.moved {
            let uri = shown(uri.to_string());
            note(Level::Info, format!("its keys are at {uri}"));
        }
        if let Err(error) = settled.outcome {
            let then = match &settled.next {
                request::Next::Ask(request) => {
                    let uri = shown(request.uri.to_string());
                    format!("keys are fetched from {uri} again")
                }
                request::Next::Share(_) => String::new(),
                request::Next::Wait(pause) => format!("next try in {} ms", pause.as_millis()),
            };
            let text = format!("{subject} cannot be fetched: {error}; {then}");
            note(Level::Warn, text);
        }
        for text in &settled.notes {
            note(Level::Warn, shown(text.clone()));
        }
        notes
    }
}

const DOCUMENT: Purpose = Purpose(0);
const KEYS: Purpose = Purpose(1);

fn subject_of(purpose: Purpose) -> FetchTarget {
    match purpose {
        KEYS => FetchTarget::KeySet,
        _ => FetchTarget::Discovery,
    }
}
