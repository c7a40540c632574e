//! Certificates that are replaced while clients come.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use portcullis_tests::patience::wait_until;

use super::client::{Client, certificate};
use super::stage::{Edge, FIRST, RENEWED};

/// Clients that come again and again, and clients that stay, until they are told to end.
struct Load {
    ended: AtomicBool,
    came: AtomicU64,
    stayed: AtomicU64,
    /// The certificates that those who came in the last moments have seen.
    seen: Mutex<BTreeSet<Vec<u8>>>,
}

impl Load {
    fn come(&self, edge: &Edge) {
        let client = Client::new();
        while !self.ended.load(Ordering::Relaxed) {
            let mut connection = client.connect(edge.https).unwrap();
            assert_eq!(connection.send("GET", "/healthz", "").unwrap().status, 200);
            let seen = connection.certificate().to_vec();
            self.seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(seen);
            self.came.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn stay(&self, edge: &Edge) {
        let mut connection = Client::new().connect(edge.https).unwrap();
        while !self.ended.load(Ordering::Relaxed) {
            assert_eq!(connection.send("GET", "/healthz", "").unwrap().status, 200);
            self.stayed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all that come see this certificate alone.
    fn wait_for(&self, name: &str) {
        let expected = BTreeSet::from([certificate(name).to_vec()]);
        wait_until(&format!("clients see {name}"), || {
            self.seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clear();
            let before = self.came.load(Ordering::Relaxed);
            wait_until("clients have come", || {
                self.ended.load(Ordering::Relaxed) || self.came.load(Ordering::Relaxed) > before + 8
            });
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == expected
        });
    }
}

pub(super) fn a_certificate_is_replaced_under_load(edge: &Edge) {
    let load = Load {
        ended: AtomicBool::new(false),
        came: AtomicU64::new(0),
        stayed: AtomicU64::new(0),
        seen: Mutex::default(),
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .flat_map(|_| {
                [
                    scope.spawn(|| load.come(edge)),
                    scope.spawn(|| load.stay(edge)),
                ]
            })
            .collect();
        let changes = scope.spawn(|| {
            load.wait_for(FIRST[0]);
            // In the directory that the SDS file names.
            edge.files.put("tls", RENEWED);
            load.wait_for(RENEWED[0]);
            // By another version of the SDS file.
            edge.files.put_secret("tls-2", FIRST);
            load.wait_for(FIRST[0]);
            edge.files.put("tls-2", RENEWED);
            load.wait_for(RENEWED[0]);
        });
        let changed = changes.join();
        load.ended.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().expect("no request is lost, and no handshake");
        }
        changed.expect("each certificate is seen");
    });
    assert!(load.stayed.into_inner() > 0);
}

/// A chain and a key that are not a pair, as when they are copied one after the other.
pub(super) fn a_bad_pair_changes_nothing(edge: &Edge) {
    let failed = "sds.certificate.key_rotation_failed";
    let before = edge.envoy.stat(failed).unwrap();
    edge.files.put("tls-2", [FIRST[0], RENEWED[1]]);
    wait_until("Envoy has refused the pair", || {
        edge.envoy.stat(failed).unwrap() > before
    });
    let mut connection = Client::new().connect(edge.https).unwrap();
    assert_eq!(connection.certificate(), certificate(RENEWED[0]).as_ref());
    assert_eq!(connection.send("GET", "/healthz", "").unwrap().status, 200);
}
