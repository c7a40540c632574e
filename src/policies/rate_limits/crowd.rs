//! Many callers in few places: no caller gets more than its own, however many come.

use std::collections::HashMap;

use super::algorithm::LimitAlgorithm;
use super::algorithm::gcra::Gcra;
use super::algorithm::sliding_window::SlidingWindow;
use super::random::Random;
use super::shard::Shard;
use super::spend::{Charge, LimitCheck, LimitVerdict, OnError, spend};
use super::table::CounterStore;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::seed::{Hashed, Seed};
use portcullis_memory_host::MemoryHost;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_000_000 * SECOND;

fn bucket(max_tokens: u64, interval: u64) -> LimitAlgorithm {
    LimitAlgorithm::Gcra(Gcra::new(max_tokens, 1, interval).unwrap())
}

fn window(requests: u32, per: u64) -> LimitAlgorithm {
    LimitAlgorithm::SlidingWindow(SlidingWindow::new(requests, per).unwrap())
}

fn ask(table: &CounterStore, caller: Hashed, now: u64, host: &dyn Host) -> LimitVerdict {
    let demand = LimitCheck {
        table,
        caller,
        cost: 1,
        charge: Charge::Now,
        on_error: OnError::Deny,
        place: (0, 0),
    };
    spend(&[demand], now, host)[0]
}

fn hashed(key: u64, host: &dyn Host) -> Hashed {
    Seed::default().hash(&key.to_le_bytes(), host).unwrap()
}

#[test]
fn nobody_gets_more_than_their_own_in_any_window() {
    for rule in [bucket(3, SECOND), window(3, 3 * SECOND)] {
        for seed in 1..40 {
            let (host, mut random) = (MemoryHost::new(), Random(seed));
            let table = CounterStore::new(&["a"], rule, 1 + random.below(6));
            let mut now = NOW + random.below(SECOND);
            let mut passed: HashMap<u64, Vec<u64>> = HashMap::new();
            for _ in 0..2000 {
                now += random.below(SECOND / 4);
                let key = random.below(12);
                if !ask(&table, hashed(key, &host), now, &host).refuses() {
                    passed.entry(key).or_default().push(now);
                }
            }
            for times in passed.values() {
                for (first, from) in times.iter().enumerate() {
                    for (more, until) in times[first..].iter().enumerate() {
                        assert!(more as u64 <= 3 + (until - from) / SECOND);
                    }
                }
            }
        }
    }
}

#[test]
fn an_exhausted_caller_stays_refused_through_a_flood() {
    for rule in [bucket(5, 60 * SECOND), window(5, 300 * SECOND)] {
        let host = MemoryHost::new();
        let table = CounterStore::new(&["a"], rule, 64);
        let victim = hashed(u64::MAX, &host);
        for _ in 0..5 {
            assert!(!ask(&table, victim, NOW, &host).refuses());
        }
        let mut now = NOW;
        for key in 0..20_000 {
            now += SECOND / 1000;
            let _ = ask(&table, hashed(key, &host), now, &host);
            if key % 100 == 0 {
                assert!(ask(&table, victim, now, &host).refuses(), "after {key}");
            }
        }
        let evicted = Event::RateLimitEvicted.counter();
        assert!(host.counted(evicted) > 0);
        let keys = host.cells().keys().count();
        assert_eq!(keys, 1 + 2, "the seed and two cells");
    }
}

/// With room for twice as many callers as have anything to make up for, a newcomer finds a full
/// cell once in about five thousand times.
#[test]
fn newcomers_find_room_where_there_is_twice_as_much_as_is_needed() {
    let host = MemoryHost::new();
    let table = CounterStore::new(&["a"], bucket(10, 4 * SECOND), 8192);
    let newcomers = 60_000;
    let mut now = NOW;
    for key in 0..newcomers {
        // A thousand in a second, each for four seconds: 4000 at a time, in 8192 places.
        now += SECOND / 1000;
        assert!(!ask(&table, hashed(key, &host), now, &host).refuses());
    }
    let evicted = Event::RateLimitEvicted.counter();
    let full = host.counted(evicted);
    assert!(full * 1000 <= newcomers, "{full}");
}

#[test]
fn a_cell_never_grows_beyond_what_is_said() {
    let host = MemoryHost::new();
    let table = CounterStore::new(&["a"], window(1, 1000 * SECOND), 100);
    for key in 0..5000 {
        let _ = ask(&table, hashed(key, &host), NOW, &host);
    }
    let cells = host.cells();
    let mut bytes = 0;
    for key in cells.keys() {
        let (value, _) = cells.read(key).unwrap();
        assert!(value.len() <= 28 + 32 * 24, "{}", value.len());
        bytes += key.len() + value.len();
    }
    assert!(bytes as u64 <= table.most_bytes());
}

#[test]
fn the_bytes_of_others_count_as_none() {
    let rules = [bucket(2, SECOND), window(2, SECOND)];
    let mut random = Random(3);
    for rule in rules {
        let written = {
            let mut shard = Shard::empty(&rule, NOW);
            let after = rule.spend(rule.fresh(NOW), NOW, 1).unwrap();
            shard.put(7, after, 4, &rule, NOW);
            shard.bytes().to_vec()
        };
        let read = Shard::read(written.clone(), &rule, NOW).unwrap();
        assert_eq!(read.bytes(), written);
        for length in 0..written.len() {
            let _ = Shard::read(written[..length].to_vec(), &rule, NOW);
        }
        for _ in 0..5000 {
            let mut changed = written.clone();
            let at = random.below(changed.len() as u64) as usize;
            changed[at] = random.below(256) as u8;
            if let Some(shard) = Shard::read(changed, &rule, NOW) {
                let state = shard.state(7, 4, &rule, NOW);
                // Nobody has to wait longer than the rule can make anybody wait.
                if let Err(wait) = rule.spend(state, NOW, 1) {
                    assert!(wait <= 2 * rule.period());
                }
            }
        }
        for foreign in [&b""[..], b"{}", b"pl\x02", b"pl\x01\x01", &[0xff; 64]] {
            assert_eq!(Shard::read(foreign.to_vec(), &rule, NOW), None);
        }
    }
}

/// What a request that passes makes of a cell, by its bytes, in place or by reading all of it.
#[test]
fn a_cell_of_one_caller_is_charged_in_place_as_any_other() {
    let rules = [
        bucket(2, SECOND),
        bucket(1000, 1000),
        window(2, SECOND),
        window(5, 10 * SECOND),
        bucket(3, SECOND).with_debt(),
    ];
    let mut random = Random(4);
    let (mut alone, mut others) = (0, 0);
    for rule in rules {
        for _ in 0..300 {
            let slots = 1 + random.below(3) as usize;
            let mut now = NOW + random.below(SECOND);
            let mut cell = Shard::empty(&rule, now).bytes().to_vec();
            for _ in 0..40 {
                now += match random.below(4) {
                    0 => 0,
                    1 => random.below(1000),
                    2 => random.below(SECOND),
                    _ => random.below(30 * SECOND),
                };
                let (tag, cost) = (7 + random.below(8) / 7, 1 + random.below(2));
                if random.below(20) == 0 {
                    let at = random.below(cell.len() as u64) as usize;
                    cell[at] ^= 1 << random.below(8);
                }
                let mut charged = cell.clone();
                let quick = Shard::charge_only(&mut charged, tag, cost, &rule, now);
                let read = Shard::read(cell.clone(), &rule, now);
                let mut shard = read.unwrap_or_else(|| Shard::empty(&rule, now));
                let taken = shard.taken();
                let after = rule.spend(shard.state(tag, slots, &rule, now), now, cost);
                if let Ok(after) = after {
                    shard.put(tag, after, slots, &rule, now);
                }
                if let Some(quick) = quick {
                    assert_eq!(Ok(quick), after.map(|after| (after, taken)), "{rule:?}");
                    assert_eq!(charged, shard.bytes(), "{rule:?}");
                    alone += 1;
                } else {
                    assert_eq!(charged, cell);
                    others += 1;
                }
                cell = shard.bytes().to_vec();
            }
        }
    }
    assert!(alone > 5000 && others > 5000, "{alone} {others}");
}

#[test]
fn whoever_means_something_else_has_other_cells() {
    let host = MemoryHost::new();
    let caller = hashed(1, &host);
    let strict = CounterStore::new(&["a", "b"], bucket(2, 60 * SECOND), 4);
    for _ in 0..2 {
        assert!(!ask(&strict, caller, NOW, &host).refuses());
    }
    let two = bucket(2, 60 * SECOND);
    // What is lax is asked often, and changes nothing for what is strict.
    for other in [
        CounterStore::new(&["a", "b"], bucket(100_000, 1000), 4),
        CounterStore::new(&["a", "b"], bucket(2, 59 * SECOND), 4),
        CounterStore::new(&["a", "b"], two.with_debt(), 4),
        CounterStore::new(&["a", "b"], window(2, 60 * SECOND), 4),
        CounterStore::new(&["a", "b"], window(3, 60 * SECOND), 4),
        CounterStore::new(&["a", "b"], window(2, 61 * SECOND), 4),
        CounterStore::new(&["a", "b"], bucket(2, 60 * SECOND), 5),
        CounterStore::new(&["ab", ""], bucket(2, 60 * SECOND), 4),
        CounterStore::new(&["a", "b", ""], bucket(2, 60 * SECOND), 4),
    ] {
        for _ in 0..2 {
            assert!(!ask(&other, caller, NOW, &host).refuses());
        }
        assert!(ask(&strict, caller, NOW, &host).refuses());
    }
    // The same is the same, whoever makes it.
    let again = CounterStore::new(&["a", "b"], bucket(2, 60 * SECOND), 4);
    assert!(ask(&again, caller, NOW, &host).refuses());
}
