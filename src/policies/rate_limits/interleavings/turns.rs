//! Requests that wait for their turn and leave, in generated numbers and orders, and every order in which their
//! workers can reach the cell.

use super::super::random::Random;
use super::*;
use portcullis_exchange::seed::Hashed;

const TICK: u64 = 1_000_000;

/// What a worker does next.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// A request comes.
    Come(u64),
    /// That one of its requests leaves, if it still waits.
    Leave(usize),
}

/// A request that was let in.
#[derive(Clone, Copy, Debug)]
struct LetIn {
    /// What its charge made of the cell.
    after: u64,
    /// When it goes on.
    turn: u64,
    cost: u64,
    has_left: bool,
}

/// Workers with deeds of their own, and the numbers of their limit.
#[derive(Debug)]
struct Scene {
    rule: LimitAlgorithm,
    max_tokens: u64,
    interval: u64,
    deeds: Vec<Vec<Deed>>,
}

impl Scene {
    fn generated(seed: u64) -> Self {
        let mut random = Random(seed);
        let (max_tokens, interval) = (1 + random.below(2), 10 * TICK);
        let bucket = Gcra::new(max_tokens, 1, interval).unwrap();
        let queue = 3 + random.below(4);
        let rule = LimitAlgorithm::Gcra(bucket).with_delay(HOUR, queue);
        let workers = 2 + usize::try_from(random.below(2)).unwrap();
        // The orders of more are too many to go through.
        let many = if workers == 2 { 3 } else { 2 };
        let deeds = (0..workers).map(|_| {
            let mut come = 0;
            let deeds = (0..many).map(|_| match random.below(5) {
                0..3 if come > 0 => Deed::Leave(usize::try_from(random.below(come)).unwrap()),
                _ => {
                    come += 1;
                    Deed::Come(1 + random.below(max_tokens))
                }
            });
            deeds.collect()
        });
        Self {
            deeds: deeds.collect(),
            rule: rule.unwrap(),
            max_tokens,
            interval,
        }
    }

    fn table(&self) -> CounterStore {
        CounterStore::new(&["turns"], self.rule, 1)
    }

    /// What one worker does. Each has a table of its own, as it has turns of its own that were lost.
    fn run(&self, worker: usize, host: &dyn Host) -> Vec<Option<LetIn>> {
        let table = self.table();
        let caller = caller(host);
        let mut let_in: Vec<Option<(LetIn, Receipt)>> = Vec::new();
        for (place, deed) in self.deeds[worker].iter().enumerate() {
            // Clocks go on between deeds, and not alike.
            let now = NOW + (place as u64) * TICK * (1 + worker as u64);
            match *deed {
                Deed::Come(cost) => let_in.push(self.come(&table, caller, cost, now, host)),
                Deed::Leave(which) => {
                    if let Some((each, receipt)) = &mut let_in[which]
                        && each.turn > now
                        && !each.has_left
                    {
                        each.has_left = true;
                        table.give_turn_back(caller, *receipt, each.cost, now, host);
                    }
                }
            }
        }
        let_in.into_iter().map(|each| Some(each?.0)).collect()
    }

    fn come(
        &self,
        table: &CounterStore,
        caller: Hashed,
        cost: u64,
        now: u64,
        host: &dyn Host,
    ) -> Option<(LetIn, Receipt)> {
        let demand = LimitCheck {
            table,
            caller,
            cost,
            charge: Charge::Now,
            on_error: OnError::Deny,
            place: (0, 0),
        };
        let LimitVerdict::Charged(State(after), receipt) = spend(&[demand], now, host)[0] else {
            return None;
        };
        let turn = now + self.rule.turn(State(after), now);
        let let_in = LetIn {
            after: after[0],
            turn,
            cost,
            has_left: false,
        };
        Some((let_in, receipt))
    }

    /// Whatever order it was.
    fn check(&self, workers: &[Vec<Option<LetIn>>], cells: CellTable) {
        for worker in workers {
            let stay = worker.iter().flatten().filter(|each| !each.has_left);
            let turns: Vec<u64> = stay.map(|each| each.turn).collect();
            assert!(
                turns.is_sorted(),
                "in the order in which they came: {self:?}"
            );
        }
        let all = || workers.iter().flatten().flatten();
        let mut gone_on: Vec<&LetIn> = all().filter(|each| !each.has_left).collect();
        gone_on.sort_by_key(|each| each.after);
        let turns: Vec<u64> = gone_on.iter().map(|each| each.turn).collect();
        let mut afters = gone_on.iter().map(|each| each.after);
        assert!(
            afters
                .clone()
                .zip(afters.by_ref().skip(1))
                .all(|(one, next)| one < next),
            "each has a turn of its own: {self:?}"
        );
        // In any window goes on what the bucket holds and what is filled meanwhile.
        for (first, from) in gone_on.iter().enumerate() {
            let mut spent = 0;
            for each in &gone_on[first..] {
                spent += each.cost;
                let most = self.max_tokens * self.interval + each.turn.saturating_sub(from.turn);
                assert!(spent * self.interval <= most, "{turns:?}: {self:?}");
            }
        }
        // Turns that nobody takes end with their time: nothing is held that was not once given.
        let last = all().map(|each| each.after).max().unwrap_or(NOW);
        let host = MemoryHost::new().with_cells(cells);
        let table = self.table();
        let caller = caller(&host);
        let found = table.draft(caller, 1, NOW, &host).unwrap().before();
        assert!(found.0[0] <= last.max(NOW), "{found:?}: {self:?}");
        let kept = gone_on.last().map_or(0, |each| each.after);
        assert!(found.0[0] >= kept, "whoever waits keeps its turn: {self:?}");
        let later = table.draft(caller, self.max_tokens, last, &host).unwrap();
        assert_eq!((later.wait(), later.turn(table.rule(), last)), (None, 0));
    }
}

fn caller(host: &dyn Host) -> Hashed {
    Seed::default().hash(b"key", host).unwrap()
}

#[test]
fn turns_that_are_given_back_in_any_order_are_given_once() {
    let (mut ends, mut leaving) = (0, 0);
    for seed in 1..=12 {
        let scene = Scene::generated(seed);
        let begin = begun(&[CounterStore::new(&["other"], bucket(1), 1)]);
        let model = Model {
            workers: scene.deeds.len(),
            begin,
            run: &|index, host| scene.run(index, host),
            check: &|workers, cells| scene.check(workers, cells),
        };
        ends += model.explore();
        let deeds = scene.deeds.iter().flatten();
        leaving += deeds.filter(|deed| matches!(deed, Deed::Leave(_))).count();
    }
    assert!(ends > 500 && leaving > 12, "{ends} {leaving}");
}

/// A worker whose turns were lost in the middle gives them all back when those behind have left, also where another
/// was quicker while it tried.
#[test]
fn what_was_lost_is_given_back_though_others_come_between() {
    let bucket = Gcra::new(1, 1, 10 * TICK).unwrap();
    let scene = Scene {
        rule: LimitAlgorithm::Gcra(bucket).with_delay(HOUR, 9).unwrap(),
        max_tokens: 1,
        interval: 10 * TICK,
        deeds: vec![
            // The first goes on at once; of those that wait, first the one in the middle leaves.
            vec![
                Deed::Come(1),
                Deed::Come(1),
                Deed::Come(1),
                Deed::Leave(1),
                Deed::Leave(2),
                Deed::Come(1),
                Deed::Leave(3),
            ],
            vec![Deed::Come(1), Deed::Leave(0)],
        ],
    };
    let begin = begun(&[CounterStore::new(&["other"], super::bucket(1), 1)]);
    let least = Cell::new(u64::MAX);
    let ends = Model {
        workers: 2,
        begin,
        run: &|index, host| scene.run(index, host),
        check: &|workers, cells| {
            scene.check(workers, cells.clone());
            let host = MemoryHost::new().with_cells(cells);
            let found = scene.table().draft(caller(&host), 1, NOW, &host).unwrap();
            let kept = workers.iter().flatten().flatten();
            let kept = kept.filter(|each| !each.has_left);
            let kept = kept.map(|each| each.after).max().unwrap();
            least.set(least.get().min(found.before().0[0] - kept));
        },
    }
    .explore();
    assert!(ends > 10, "{ends}");
    assert_eq!(least.get(), 0, "in some order nothing is lost");
}
