//! Blocks that are tried beside those in force: they are asked, and what they say is noted. Nothing
//! else comes of it. INVARIANT: they change no message, hold no body, count nothing but their own
//! verdicts, know nothing that the others go by later, and have an effort of their own.

use std::time::Duration;

use super::Stream;
use super::body::Awaiting;
use super::judge::Judge;
use super::settle::{Flow, settle};
use crate::engine::{Chain, Lane, Step};
use portcullis_exchange::body::{BodyNeed, BufferedBody, RequestBody};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyProgress, BodyState, Exchange, Facts, Request};
use portcullis_exchange::host::{
    Bodies, CasResult, CasToken, CellUnavailable, Cells, Clock, Counter, Counters, Entropy,
    Environment, Failure, Histogram, Host, HostVerdict, Properties, Property, Side, SignatureCheck,
    Signatures,
};
use portcullis_exchange::policy::{Stage, Verdict};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;

/// What has become of the blocks that are tried.
#[derive(Default)]
pub(super) struct Beside {
    /// How many of the parts have been asked: they are asked in order.
    asked: usize,
    /// What parts of each policy have found out, for those of the same policy that come later.
    facts: Vec<(usize, Facts)>,
    /// Which of them waited for a body when there was no more room for them.
    given_up: Vec<usize>,
}

/// The proxy, as those may use it who are only tried: they read, and leave no trace.
pub(super) struct ReadOnlyHost<'h>(pub(super) &'h dyn Host);

impl Beside {
    pub(super) fn asked(&self) -> usize {
        self.asked
    }

    /// Whether the part at that place will never see the body that it waits for.
    pub(super) fn has_given_up(&self, place: usize) -> bool {
        self.given_up.contains(&place)
    }

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let entries = self.facts.iter().map(|(_, facts)| facts.memory());
        let list = self.facts.capacity();
        entries.fold(
            list.saturating_mul(size_of::<(usize, Facts)>()),
            usize::saturating_add,
        )
    }

    /// What a policy has found out; it is taken away meanwhile.
    pub(super) fn take(&mut self, kind: usize, known: &Facts) -> Facts {
        let place = self.facts.iter().position(|(each, _)| *each == kind);
        match place {
            Some(place) => self.facts.swap_remove(place).1,
            None => known.apart(),
        }
    }

    /// Forgets what has been found out.
    pub(super) fn forget(&mut self) {
        self.facts = Vec::new();
    }

    pub(super) fn put(&mut self, kind: usize, facts: Facts) {
        self.facts.push((kind, facts));
    }
}

impl Judge<'_> {
    /// Asks the parts that are tried and whose turn comes before a stage, or all that are left.
    pub(super) fn try_before(
        &mut self,
        chain: &Chain,
        stage: Option<Stage>,
        exchange: &Exchange<'_>,
        effort: &Effort,
    ) {
        while let Some(step) = chain.beside.get(self.beside.asked) {
            if stage.is_some_and(|stage| step.stage >= stage) {
                return;
            }
            let place = self.beside.asked;
            self.beside.asked = place.saturating_add(1);
            let before = self.times.before(self.host);
            let verdict = self.try_head(step, exchange, effort);
            self.times.after(step.name, before, self.host);
            match settle(step.placed_in(verdict), Mode::Shadow) {
                Flow::Note(refusal) => self.note(refusal, step.name, Lane::Beside),
                Flow::Await(need) if exchange.body == BodyState::Open => {
                    self.awaiting.push(Awaiting {
                        lane: Lane::Beside,
                        step: place,
                        mode: Mode::Shadow,
                        need,
                    });
                }
                Flow::Skip => self.skipped.push((Lane::Beside, place)),
                Flow::GoOn | Flow::Await(_) | Flow::Rewrite(_) | Flow::Stop(_) => {}
            }
        }
    }

    fn try_head(&mut self, step: &Step, exchange: &Exchange<'_>, effort: &Effort) -> Verdict {
        let host = self.host;
        let mut facts = self.beside.take(step.kind, exchange.facts);
        if step.stage == Stage::Transport {
            let trusts = step.declared.trusts_forwarded_proto;
            facts.connection.trust_forwarded_proto(trusts);
        }
        let request = Request {
            effort,
            ..exchange.request
        };
        let mut own = Exchange {
            arrived: exchange.arrived,
            request,
            body: exchange.body,
            route: exchange.route,
            facts: &mut facts,
            preflight: None,
            notes_claimed: false,
            edits: Vec::new(),
            shadow: Vec::new(),
        };
        let mut verdict = step.policy.check_request(&mut own, &ReadOnlyHost(host));
        if let Verdict::Wait(_) = verdict {
            step.policy.not_waited(own.facts);
        }
        if let (Verdict::AwaitBody(need), BodyState::Complete) = (&verdict, exchange.body) {
            verdict = ask_of_no_body(
                step,
                *need,
                request.headers,
                &mut facts,
                &ReadOnlyHost(host),
            );
        }
        self.beside.put(step.kind, facts);
        verdict
    }
}

impl Stream {
    /// Lets go of all that is only tried: there is no room for it.
    pub(super) fn stop_trying(&mut self) {
        let tried = |waiting: &&Awaiting| waiting.lane == Lane::Beside;
        let places = self.awaiting.iter().filter(tried);
        self.beside
            .given_up
            .extend(places.map(|waiting| waiting.step));
        self.awaiting
            .retain(|waiting| waiting.lane == Lane::InForce);
        self.beside.forget();
    }
}

/// What a part that waits for a body says of a request without one.
pub(super) fn ask_of_no_body(
    step: &Step,
    need: BodyNeed,
    request: &Headers,
    facts: &mut Facts,
    host: &dyn Host,
) -> Verdict {
    let progress = BodyProgress {
        size: 0,
        state: BodyState::Complete,
    };
    let mut empty = RequestBody {
        request,
        facts,
        progress,
        need,
        content: &BufferedBody::new(progress, need.most(), None, None),
        under_way: &mut None,
    };
    step.policy.request_body(&mut empty, host)
}

impl Clock for ReadOnlyHost<'_> {
    #[allow(clippy::disallowed_methods, reason = "it hands on what others ask for")]
    fn wall_clock(&self) -> Duration {
        self.0.wall_clock()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

impl Counters for ReadOnlyHost<'_> {
    fn count_many(&self, _: Counter, _: u64) {}

    fn observe(&self, _: Histogram, _: u64) {}
}

impl Environment for ReadOnlyHost<'_> {
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.0.environment(name)
    }
}

impl Signatures for ReadOnlyHost<'_> {
    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        self.0.verify_signature(check)
    }
}

impl Properties for ReadOnlyHost<'_> {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        self.0.property(property)
    }
}

impl Cells for ReadOnlyHost<'_> {
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        self.0.cell(key)
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn compare_and_swap(
        &self,
        _: &str,
        _: Option<CasToken>,
        _: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        Err(CellUnavailable)
    }
}

impl Entropy for ReadOnlyHost<'_> {
    fn random(&self) -> u64 {
        self.0.random()
    }
}

impl Bodies for ReadOnlyHost<'_> {
    fn body(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        self.0.body(side, start, size)
    }
}
