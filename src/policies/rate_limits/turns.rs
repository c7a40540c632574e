//! Requests that wait for their turn, of four workers, with a clock that only the test moves: the order in which
//! they go on, how long and how many they are, and that no window has more of them than it may.

use super::algorithm::gcra::Gcra;
use super::algorithm::{LimitAlgorithm, Receipt};
use super::random::Random;
use super::spend::{Charge, LimitCheck, LimitVerdict, OnError, spend};
use super::table::CounterStore;
use portcullis_exchange::host::Host;
use portcullis_exchange::seed::{Hashed, Seed};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::budget::{Share, used};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000_000 * SECOND;

fn delaying(max_tokens: u64, interval: u64, longest: u64, queue: u64) -> LimitAlgorithm {
    let bucket = Gcra::new(max_tokens, 1, interval).unwrap();
    LimitAlgorithm::Gcra(bucket)
        .with_delay(longest, queue)
        .unwrap()
}

fn ask(table: &CounterStore, caller: Hashed, cost: u64, now: u64, host: &dyn Host) -> LimitVerdict {
    let demand = LimitCheck {
        table,
        caller,
        cost,
        charge: Charge::Now,
        on_error: OnError::Deny,
        place: (0, 0),
    };
    spend(&[demand], now, host)[0]
}

fn caller(key: u64, host: &dyn Host) -> Hashed {
    Seed::default().hash(&key.to_le_bytes(), host).unwrap()
}

/// A request that was let in: it goes on then, unless it leaves before.
#[derive(Clone, Copy, Debug)]
struct Admitted {
    turn: u64,
    cost: u64,
    worker: usize,
    receipt: Receipt,
    has_left: bool,
}

/// In any window goes on what the bucket holds and what is filled meanwhile, at most.
fn assert_law(admitted: &[Admitted], max_tokens: u64, interval: u64) {
    let gone_on: Vec<&Admitted> = admitted.iter().filter(|each| !each.has_left).collect();
    for (first, from) in gone_on.iter().enumerate() {
        let mut spent = 0;
        for each in &gone_on[first..] {
            spent += each.cost;
            let most = max_tokens * interval + (each.turn - from.turn);
            assert!(spent * interval <= most, "{spent} in {from:?}..{each:?}");
        }
    }
}

#[test]
fn four_workers_keep_the_order_and_the_bound() {
    for seed in 1..60 {
        let mut random = Random(seed);
        let (max_tokens, interval) = (1 + random.below(5), SECOND / 100);
        let (longest, queue) = (random.below(SECOND) + 1, 1 + random.below(60));
        let host = MemoryHost::new();
        let rule = delaying(max_tokens, interval, longest, queue);
        let tables: Vec<CounterStore> =
            (0..4).map(|_| CounterStore::new(&["a"], rule, 4)).collect();
        let key = caller(7, &host);
        let mut now = NOW;
        let mut admitted: Vec<Admitted> = Vec::new();
        for _ in 0..600 {
            now += random.below(interval);
            // Who waits may leave, and gives its turn back.
            if random.below(3) == 0 {
                let waiting = admitted.iter_mut();
                let mut waiting = waiting.filter(|each| each.turn > now && !each.has_left);
                if let Some(left) = waiting.nth(usize::try_from(random.below(8)).unwrap()) {
                    left.has_left = true;
                    let table = &tables[left.worker];
                    table.give_turn_back(key, left.receipt, left.cost, now, &host);
                }
            }
            let worker = usize::try_from(random.below(4)).unwrap();
            let cost = 1 + random.below(max_tokens.min(2));
            match ask(&tables[worker], key, cost, now, &host) {
                LimitVerdict::Charged(state, receipt) => {
                    let wait = rule.turn(state, now);
                    let turn = now + wait;
                    // Nobody waits longer than may be, and nobody goes before one who waits.
                    assert!(wait <= longest.min(queue * interval));
                    let before = admitted.iter().filter(|each| !each.has_left);
                    assert!(before.clone().all(|each| each.turn <= turn));
                    let waiting = before.filter(|each| each.turn > now).count() as u64;
                    assert!(waiting <= queue);
                    admitted.push(Admitted {
                        turn,
                        cost,
                        worker,
                        receipt,
                        has_left: false,
                    });
                }
                // Who waits for so long is let in, if nobody else comes.
                LimitVerdict::Refused(_, wait) => {
                    assert!(wait > 0);
                    let later = rule.spend(
                        tables[0].draft(key, cost, now, &host).unwrap().before(),
                        now + wait,
                        cost,
                    );
                    assert!(later.is_ok());
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(admitted.iter().any(|each| each.has_left));
        assert_law(&admitted, max_tokens, interval);
    }
}

#[test]
fn turns_are_even_and_the_queue_has_an_end() {
    let host = MemoryHost::new();
    let table = CounterStore::new(&["a"], delaying(1, SECOND / 100, 10 * SECOND, 100), 1);
    let key = caller(1, &host);
    let mut turns = Vec::new();
    for _ in 0..1000 {
        if let LimitVerdict::Charged(state, _) = ask(&table, key, 1, NOW, &host) {
            turns.push(table.rule().turn(state, NOW));
        }
    }
    let expected: Vec<u64> = (0..=100).map(|place| place * SECOND / 100).collect();
    assert_eq!(turns, expected, "one at once, and a hundred that wait");
    // When the first of them has gone on there is room for one more.
    let said = ask(&table, key, 1, NOW, &host);
    assert!(matches!(said, LimitVerdict::Refused(_, wait) if wait == SECOND / 100));
}

/// Whoever waits and leaves makes room, if all who came later leave as well; in whatever order.
#[test]
fn a_crowd_that_leaves_gives_everything_back() {
    for seed in 1..40 {
        let (host, mut random) = (MemoryHost::new(), Random(seed));
        let before = used(Share::Caches);
        let table = CounterStore::new(&["a"], delaying(2, SECOND / 10, 10 * SECOND, 50), 1);
        let key = caller(1, &host);
        let mut held = Vec::new();
        for _ in 0..60 {
            if let LimitVerdict::Charged(state, receipt) = ask(&table, key, 1, NOW, &host)
                && table.rule().turn(state, NOW) > 0
            {
                held.push(receipt);
            }
        }
        assert_eq!(held.len(), 50);
        let kept = held.remove(0);
        while !held.is_empty() {
            let place = usize::try_from(random.below(held.len() as u64)).unwrap();
            let receipt = held.swap_remove(place);
            table.give_turn_back(key, receipt, 1, NOW, &host);
        }
        assert_eq!(used(Share::Caches), before);
        // The next one comes right behind the one that still waits.
        let LimitVerdict::Charged(state, _) = ask(&table, key, 1, NOW, &host) else {
            panic!("there is room");
        };
        assert_eq!(table.rule().turn(state, NOW), 2 * SECOND / 10);
        let _ = kept;
    }
}

/// A turn in the middle is lost: to give it back would let one go on too many.
#[test]
fn a_turn_behind_which_others_wait_is_not_given_twice() {
    let host = MemoryHost::new();
    let tables: Vec<CounterStore> = (0..2)
        .map(|_| CounterStore::new(&["a"], delaying(1, SECOND, 10 * SECOND, 50), 1))
        .collect();
    let key = caller(1, &host);
    let mut receipts = Vec::new();
    for _ in 0..4 {
        let LimitVerdict::Charged(_, receipt) = ask(&tables[0], key, 1, NOW, &host) else {
            panic!("there is room");
        };
        receipts.push(receipt);
    }
    tables[1].give_turn_back(key, receipts[2], 1, NOW, &host);
    let LimitVerdict::Charged(state, _) = ask(&tables[0], key, 1, NOW, &host) else {
        panic!("there is room");
    };
    assert_eq!(tables[0].rule().turn(state, NOW), 4 * SECOND);
}

/// What has been reserved outlives the worker that reserved it for as long as its turn, and no longer.
#[test]
fn what_a_lost_worker_reserved_lapses() {
    let host = MemoryHost::new();
    let rule = delaying(1, SECOND / 10, 2 * SECOND, 10);
    let lost = CounterStore::new(&["a"], rule, 1);
    let key = caller(1, &host);
    for _ in 0..20 {
        let _ = ask(&lost, key, 1, NOW, &host);
    }
    drop(lost);
    let other = CounterStore::new(&["a"], rule, 1);
    assert!(ask(&other, key, 1, NOW, &host).refuses());
    let later = NOW + 2 * SECOND;
    let LimitVerdict::Charged(state, _) = ask(&other, key, 1, later, &host) else {
        panic!("there is room");
    };
    assert_eq!(rule.turn(state, later), 0);
}

/// Bytes that nobody of ours wrote hold nobody up for longer than a request may wait.
#[test]
fn a_time_far_ahead_is_not_believed() {
    let Some(LimitAlgorithm::Gcra(bucket)) = Some(delaying(5, SECOND, 3 * SECOND, 100)) else {
        panic!("it is a bucket");
    };
    let settled = bucket.settle(u64::MAX, NOW);
    assert_eq!(settled, NOW + 8 * SECOND);
    assert_eq!(bucket.spend(settled, NOW, 1), Err(SECOND));
}
