use std::rc::Rc;
use std::time::Duration;

use super::store::PlaceStore;
use super::{HeldPlace, LEASE, PlaceAnswer, PlaceHolder, is_another_vm};
use crate::rate_limits::random::Random;
use portcullis_exchange::host::Clock as _;
use portcullis_exchange::meter::Event;
use portcullis_exchange::section::Ticking as _;
use portcullis_exchange::seed::{Hashed, Seed};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::{Share, used};

/// Another worker: its own VM, with the cells of the same proxy.
struct PlaceWorker {
    holder: Rc<PlaceHolder>,
    store: Rc<PlaceStore>,
}

impl PlaceWorker {
    fn new(host: &MemoryHost) -> Self {
        is_another_vm();
        let holder = Rc::<PlaceHolder>::default();
        let store = Rc::new(PlaceStore::new(&["a"], 64, &holder));
        // It has its number from now on.
        holder.number(host);
        Self { holder, store }
    }

    fn ask(&self, key: u64, most: u64, queue: Option<u64>, host: &MemoryHost) -> PlaceAnswer {
        self.store.ask(caller(key, host), most, queue, host)
    }

    fn hold(&self, key: u64, most: u64, host: &MemoryHost) -> Option<HeldPlace> {
        match self.ask(key, most, None, host) {
            PlaceAnswer::Held(place) => Some(place),
            PlaceAnswer::Full => None,
            other => panic!("{other:?}"),
        }
    }
}

fn caller(key: u64, host: &MemoryHost) -> Hashed {
    Seed::default().hash(&key.to_le_bytes(), host).unwrap()
}

fn proxy() -> MemoryHost {
    MemoryHost::new().at_second(1_000_000)
}

/// Lets so many seconds go by, in which these workers tick.
fn pass(seconds: u64, host: &MemoryHost, ticking: &[&PlaceWorker]) {
    for _ in 0..seconds * 4 {
        host.advance(Duration::from_millis(250));
        for worker in ticking {
            worker.holder.tick(host);
        }
    }
}

#[test]
fn four_workers_never_have_more_than_there_may_be() {
    for seed in 1..30 {
        let (host, mut random) = (proxy(), Random(seed));
        let workers: Vec<PlaceWorker> = (0..4).map(|_| PlaceWorker::new(&host)).collect();
        let most = 1 + random.below(6);
        let mut held: Vec<(u64, HeldPlace)> = Vec::new();
        for _ in 0..3000 {
            let key = random.below(5);
            let of_key = held.iter().filter(|(of, _)| *of == key).count() as u64;
            let worker = &workers[usize::try_from(random.below(4)).unwrap()];
            match random.below(2) {
                0 => match worker.hold(key, most, &host) {
                    Some(place) => {
                        assert!(of_key < most);
                        held.push((key, place));
                    }
                    None => assert_eq!(of_key, most, "a free place is had"),
                },
                _ if !held.is_empty() => {
                    let place = usize::try_from(random.below(held.len() as u64)).unwrap();
                    let (_, place) = held.swap_remove(place);
                    place.give_back(&host);
                }
                _ => {}
            }
            host.advance(Duration::from_millis(random.below(300)));
            workers.iter().for_each(|worker| worker.holder.tick(&host));
        }
    }
}

#[test]
fn what_a_lost_worker_held_lapses_and_what_others_hold_does_not() {
    let host = proxy();
    let (lost, kept, other) = (
        PlaceWorker::new(&host),
        PlaceWorker::new(&host),
        PlaceWorker::new(&host),
    );
    let of_lost = lost.hold(1, 2, &host).unwrap();
    let of_kept = kept.hold(1, 2, &host).unwrap();
    pass(5, &host, &[&lost, &kept, &other]);
    assert!(other.hold(1, 2, &host).is_none());
    // From here on, the VM of the first is gone, and nothing of it is told any more.
    std::mem::forget(of_lost);
    pass(LEASE / 1_000_000_000 - 2, &host, &[&kept, &other]);
    assert!(
        other.hold(1, 2, &host).is_none(),
        "the lease has not lapsed"
    );
    pass(5, &host, &[&kept, &other]);
    let place = other.hold(1, 2, &host).unwrap();
    assert_eq!(host.counted(Event::ConcurrencyLapsed.counter()), 1);
    // A hundred minutes later, who is there still has its place.
    pass(6000, &host, &[&kept, &other]);
    assert!(other.hold(1, 2, &host).is_none());
    of_kept.give_back(&host);
    place.give_back(&host);
    assert!(other.hold(1, 1, &host).is_some());
}

/// What waited in a worker that is gone is nobody to come behind.
#[test]
fn who_waited_in_a_lost_worker_holds_nobody_up() {
    let host = proxy();
    let (lost, kept) = (PlaceWorker::new(&host), PlaceWorker::new(&host));
    let held = kept.hold(1, 1, &host).unwrap();
    let PlaceAnswer::Held(waiting) = lost.ask(1, 1, Some(3), &host) else {
        panic!("there is room in the line");
    };
    assert!(waiting.waits());
    std::mem::forget(waiting);
    held.give_back(&host);
    let waits = |worker: &PlaceWorker| match worker.ask(1, 1, Some(3), &host) {
        PlaceAnswer::Held(place) => {
            let waits = place.waits();
            place.give_back(&host);
            waits
        }
        answer => panic!("{answer:?}"),
    };
    pass(5, &host, &[&lost, &kept]);
    assert!(waits(&kept), "somebody is before it");
    pass(LEASE / 1_000_000_000 + 3, &host, &[&kept]);
    assert!(!waits(&kept));
}

/// Where nobody more may wait, whoever comes passes nobody who does.
#[test]
fn without_room_in_the_line_nobody_passes_it() {
    let host = proxy();
    let worker = PlaceWorker::new(&host);
    let held = worker.hold(1, 1, &host).unwrap();
    let PlaceAnswer::Held(mut waiting) = worker.ask(1, 1, Some(1), &host) else {
        panic!("there is room in the line");
    };
    held.give_back(&host);
    assert!(matches!(
        worker.ask(1, 1, Some(0), &host),
        PlaceAnswer::Full
    ));
    assert!(waiting.try_again(1, &host));
    waiting.give_back(&host);
    let PlaceAnswer::Held(place) = worker.ask(1, 1, Some(0), &host) else {
        panic!("nobody waits");
    };
    assert!(!place.waits());
    place.give_back(&host);
}

/// While the proxy as a whole stands still, nobody looks, and nobody is taken for gone.
#[test]
fn a_proxy_that_stood_still_takes_nobody_for_gone() {
    let host = proxy();
    let (one, other) = (PlaceWorker::new(&host), PlaceWorker::new(&host));
    let place = one.hold(1, 1, &host).unwrap();
    pass(5, &host, &[&one, &other]);
    host.advance(Duration::from_secs(3600));
    other.holder.tick(&host);
    assert!(other.hold(1, 1, &host).is_none());
    pass(3, &host, &[&one, &other]);
    assert!(other.hold(1, 1, &host).is_none());
    place.give_back(&host);
    assert!(other.hold(1, 1, &host).is_some());
}

/// A place that is only dropped is given back with the next tick.
#[test]
fn a_place_that_is_dropped_is_given_back() {
    let host = proxy();
    let before = used(Share::Streams);
    let worker = PlaceWorker::new(&host);
    let place = worker.hold(1, 1, &host);
    assert!(place.is_some());
    drop(place);
    pass(2, &host, &[&worker]);
    let other = PlaceWorker::new(&host);
    assert!(other.hold(1, 1, &host).is_some());
    assert_eq!(used(Share::Streams), before);
}

#[test]
fn those_who_wait_have_their_order_and_nobody_passes_them() {
    let host = proxy();
    let (one, other) = (PlaceWorker::new(&host), PlaceWorker::new(&host));
    let held = one.hold(1, 1, &host).unwrap();
    let wait = |worker: &PlaceWorker| match worker.ask(1, 1, Some(3), &host) {
        PlaceAnswer::Held(place) => {
            assert!(place.waits());
            place
        }
        answer => panic!("{answer:?}"),
    };
    let (mut first, mut second) = (wait(&one), wait(&one));
    let third = wait(&other);
    assert!(matches!(one.ask(1, 1, Some(3), &host), PlaceAnswer::Full));
    assert!(!first.try_again(1, &host));
    held.give_back(&host);
    // A place is free, and whoever comes now comes behind those who wait.
    third.give_back(&host);
    let mut late = wait(&other);
    assert!(!second.try_again(1, &host));
    assert!(first.try_again(1, &host));
    assert!(!first.waits() && !late.try_again(1, &host));
    first.give_back(&host);
    assert!(second.try_again(1, &host));
    second.give_back(&host);
    assert!(late.try_again(1, &host));
    late.give_back(&host);
    assert!(one.hold(1, 1, &host).is_some());
}

#[test]
fn cells_are_as_many_as_is_said_and_hold_nothing_when_all_is_given_back() {
    let host = proxy();
    let worker = PlaceWorker::new(&host);
    let places: Vec<HeldPlace> = (0..400)
        .map_while(|key| worker.hold(key, 1, &host))
        .collect();
    assert_eq!(places.len(), 400);
    let cells = host.cells();
    let of_places = |key: &&str| key.starts_with("places/");
    assert!(cells.keys().filter(of_places).count() <= 2);
    // No key tells of who holds what.
    places.into_iter().for_each(|place| place.give_back(&host));
    let cells = host.cells();
    for key in cells.keys().filter(of_places) {
        assert_eq!(cells.read(key).unwrap().0.len(), 4, "{key}");
    }
    assert!(host.monotonic() > Duration::ZERO);
}

#[test]
fn a_full_cell_refuses_and_foreign_bytes_are_none() {
    let host = proxy();
    let worker = PlaceWorker::new(&host);
    let mut held = Vec::new();
    let answer = (0..2000).find_map(|key| match worker.ask(key, 1, None, &host) {
        PlaceAnswer::Held(place) => {
            held.push(place);
            None
        }
        answer => Some(answer),
    });
    assert!(matches!(answer, Some(PlaceAnswer::Crowded)), "{answer:?}");
    assert!(held.len() >= 256);
    let keys: Vec<String> = host.cells().keys().map(str::to_owned).collect();
    for key in keys.iter().filter(|key| key.starts_with("places/")) {
        use portcullis_exchange::host::Cells as _;
        host.compare_and_swap(key, None, b"somebody else's")
            .unwrap();
    }
    assert!(worker.hold(9999, 1, &host).is_some());
}
