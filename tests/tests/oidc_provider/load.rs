//! Many requests at once on four workers: each gets the verdict on its own token, whatever becomes of the server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_tests::oidc_provider::SHOPS;
use portcullis_tests::patience::wait_until;

use crate::proxy::Proxy;

const UNAVAILABLE: &str = "503 introspection_unavailable";
const INVALID: &str = "401 introspection_invalid";

/// A token, and what comes of it where the server answers.
struct Sent {
    token: String,
    verdict: String,
}

/// Tokens of all clients: good ones, some taken back, some made up.
fn tokens(proxy: &Proxy) -> Vec<Sent> {
    const EACH: usize = 4;
    let mut all = Vec::new();
    for number in 0..SHOPS * EACH {
        let client = format!("shop-{}", number % SHOPS);
        let token = proxy.server.token(&client, "urn:orders", &[]);
        let revoked = proxy.server.token(&client, "urn:orders", &[]);
        proxy.server.revoke(&client, &revoked);
        all.push(Sent {
            token,
            verdict: format!("200 {client}"),
        });
        let bad = if number % 2 == 0 {
            revoked
        } else {
            format!("made-up-{number}")
        };
        all.push(Sent {
            token: bad,
            verdict: INVALID.to_owned(),
        });
    }
    all
}

/// Of requests in flight none is left, and every one that was accepted has come to the service.
fn nothing_is_lost(proxy: &Proxy, before: u64, accepted: u64) {
    wait_until("no request is under way", || {
        proxy.envoy.stat("http.plain.downstream_rq_active").unwrap() == 0
    });
    assert_eq!(proxy.upstream.count() - before, accepted);
}

pub(crate) fn many_at_once(proxy: &Proxy) {
    const ROUNDS: usize = 3;
    let tokens = tokens(proxy);
    let before = proxy.upstream.count();
    let accepted = AtomicU64::new(0);
    thread::scope(|scope| {
        for round in 0..ROUNDS {
            for sent in &tokens {
                let (accepted, path) = (&accepted, ["/kept", "/each", "/kept"][round]);
                scope.spawn(move || {
                    assert_eq!(proxy.send(path, &sent.token), sent.verdict);
                    let is_good = sent.verdict != INVALID;
                    accepted.fetch_add(u64::from(is_good), Ordering::Relaxed);
                });
            }
        }
    });
    let accepted = accepted.load(Ordering::Relaxed);
    assert_eq!(accepted as usize, ROUNDS * tokens.len() / 2);
    nothing_is_lost(proxy, before, accepted);
    let stats = proxy.envoy.stats().unwrap();
    let used = stats.iter().filter(|(name, count)| {
        name.contains(".worker_") && name.ends_with("downstream_cx_total") && **count > 0
    });
    assert!(used.count() >= 2, "one worker got all requests");
}

/// What has come of requests so far.
#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    refused: AtomicU64,
    unavailable: AtomicU64,
    /// Whether to go on.
    is_over: AtomicBool,
}

impl Tally {
    /// Sends one request after the other, each with another token.
    fn send(&self, proxy: &Proxy, tokens: &[Sent], from: usize) {
        for sent in tokens.iter().cycle().skip(from) {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let outcome = proxy.send("/hasty", &sent.token);
            let counted = match outcome.as_str() {
                UNAVAILABLE => &self.unavailable,
                INVALID => &self.refused,
                _ => &self.accepted,
            };
            counted.fetch_add(1, Ordering::Relaxed);
            match outcome == UNAVAILABLE {
                // It is refused at once while the server is left alone.
                true => thread::sleep(Duration::from_millis(20)),
                false => assert_eq!(outcome, sent.verdict),
            }
        }
    }

    /// Waits until so many more have had a verdict on their token, good and bad.
    fn await_verdicts(&self, many: u64) {
        let [accepted, refused] =
            [&self.accepted, &self.refused].map(|count| count.load(Ordering::Relaxed) + many);
        wait_until("tokens are judged", || {
            self.accepted.load(Ordering::Relaxed) >= accepted
                && self.refused.load(Ordering::Relaxed) >= refused
        });
    }

    /// Waits until so many more have been told that nobody can tell.
    fn await_failures(&self, many: u64) {
        let wanted = self.unavailable.load(Ordering::Relaxed) + many;
        wait_until("the server is missed", || {
            self.unavailable.load(Ordering::Relaxed) >= wanted
        });
    }
}

/// Ends the senders, whatever else fails.
struct Ending<'t>(&'t Tally);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// The server stands still, ends with questions unanswered, is not there, and comes back.
pub(crate) fn a_server_that_fails_meanwhile(proxy: &Proxy) {
    const SENDERS: usize = 64;
    const SOME: u64 = 100;
    let tokens = tokens(proxy);
    let before = proxy.upstream.count();
    let failed = || {
        let counter = "wasmcustom.portcullis.introspection_failed";
        proxy.envoy.stat(counter).unwrap()
    };
    let failed_before = failed();
    let tally = Tally::default();
    thread::scope(|scope| {
        let _ending = Ending(&tally);
        for sender in 0..SENDERS {
            let (tally, tokens) = (&tally, &tokens);
            scope.spawn(move || tally.send(proxy, tokens, sender * 2));
        }
        tally.await_verdicts(SOME);
        proxy.server.pause().unwrap();
        tally.await_failures(SOME);
        proxy.server.resume().unwrap();
        tally.await_verdicts(SOME);
        proxy.server.kill().unwrap();
        tally.await_failures(SOME);
        proxy.server.start_again().unwrap();
        tally.await_verdicts(SOME);
    });
    nothing_is_lost(proxy, before, tally.accepted.load(Ordering::Relaxed));
    let unavailable = tally.unavailable.load(Ordering::Relaxed);
    assert_eq!(failed() - failed_before, unavailable);
}
