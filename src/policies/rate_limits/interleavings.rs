//! Every order in which two or three workers can reach the cells.
//!
//! A worker's code is a function of what the proxy answers. So a worker is run from its beginning
//! with the answers it has had so far, up to the next thing that it asks; the search then lets
//! each of the workers that wait be the next to be answered.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::algorithm::gcra::Gcra;
use super::algorithm::sliding_window::SlidingWindow;
use super::algorithm::{LimitAlgorithm, Receipt, State};
use super::spend::{Charge, LimitCheck, LimitVerdict, OnError, spend};
use super::table::{Charged, CounterStore};
use portcullis_exchange::host::{CasResult, CasToken, CellUnavailable, Cells, Host};
use portcullis_exchange::seed::Seed;
use portcullis_memory_host::{CellTable, MemoryHost};

mod turns;

/// What a worker asks of the cells.
#[derive(Clone, Debug)]
enum CellCall {
    Read(String),
    Write(String, Option<CasToken>, Vec<u8>),
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CellReturn {
    Read(Option<(Vec<u8>, CasToken)>),
    Written(CasResult),
}

/// A worker on its way: the answers that it has had.
#[derive(Clone, Debug, Default)]
struct Worker {
    answers: Vec<CellReturn>,
}

/// The cells, as a worker sees them that is run again.
struct Replay {
    answers: Vec<CellReturn>,
    next: Cell<usize>,
    asked: RefCell<Option<CellCall>>,
}

/// Thrown where the answers end.
struct Suspended;

impl Replay {
    fn ask(&self, question: CellCall) -> CellReturn {
        let next = self.next.get();
        self.next.set(next + 1);
        match self.answers.get(next) {
            Some(answer) => answer.clone(),
            None => {
                self.asked.replace(Some(question));
                resume_unwind(Box::new(Suspended))
            }
        }
    }
}

impl Cells for Replay {
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        match self.ask(CellCall::Read(key.to_owned())) {
            CellReturn::Read(found) => Ok(found),
            CellReturn::Written(_) => panic!("a worker asks something else when it is run again"),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        match self.ask(CellCall::Write(key.to_owned(), seen, value.to_vec())) {
            CellReturn::Written(swap) => Ok(swap),
            CellReturn::Read(_) => panic!("a worker asks something else when it is run again"),
        }
    }
}

/// What workers do, and what must hold when all have done it.
struct Model<'m, T> {
    workers: usize,
    begin: CellTable,
    run: &'m dyn Fn(usize, &dyn Host) -> T,
    check: &'m dyn Fn(&[T], CellTable),
}

impl<T> Model<'_, T> {
    /// Goes through every order. How many ends there are.
    fn explore(&self) -> usize {
        let workers = vec![Worker::default(); self.workers];
        let (mut seen, mut ends) = (HashSet::new(), 0);
        let mut open = vec![(self.begin.clone(), workers)];
        while let Some((cells, workers)) = open.pop() {
            let runs: Vec<_> = (0..self.workers)
                .map(|index| self.resume(index, &workers[index]))
                .collect();
            if runs.iter().all(Result::is_ok) {
                let results: Vec<T> = runs.into_iter().filter_map(Result::ok).collect();
                (self.check)(&results, cells);
                ends += 1;
                continue;
            }
            for (index, run) in runs.into_iter().enumerate() {
                let Err(question) = run else { continue };
                let (mut cells, mut workers) = (cells.clone(), workers.clone());
                let answer = match question {
                    CellCall::Read(key) => CellReturn::Read(cells.read(&key)),
                    CellCall::Write(key, seen, value) => {
                        CellReturn::Written(cells.write(&key, seen, &value).unwrap())
                    }
                };
                workers[index].answers.push(answer);
                if seen.insert(fingerprint(&cells, &workers)) {
                    open.push((cells, workers));
                }
            }
        }
        ends
    }

    /// The result of a worker, or what it asks next.
    fn resume(&self, index: usize, worker: &Worker) -> Result<T, CellCall> {
        let cells = Rc::new(Replay {
            answers: worker.answers.clone(),
            next: Cell::new(0),
            asked: RefCell::new(None),
        });
        let host = MemoryHost::new()
            .with_seed(index as u64)
            .with_cell_store(cells.clone())
            .with_cell_memory();
        match catch_unwind(AssertUnwindSafe(|| (self.run)(index, &host))) {
            Ok(result) => Ok(result),
            Err(thrown) if thrown.is::<Suspended>() => {
                Err(cells.asked.take().expect("it stopped where it asked"))
            }
            Err(failure) => resume_unwind(failure),
        }
    }
}

fn fingerprint(cells: &CellTable, workers: &[Worker]) -> u128 {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        cells.hash(&mut hasher);
        format!("{workers:?}").hash(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

const NOW: u64 = 1_000_000_000_000;
const HOUR: u64 = 3600 * 1_000_000_000;

fn bucket(max_tokens: u64) -> LimitAlgorithm {
    LimitAlgorithm::Gcra(Gcra::new(max_tokens, 1, HOUR).unwrap())
}

fn window(requests: u32) -> LimitAlgorithm {
    LimitAlgorithm::SlidingWindow(SlidingWindow::new(requests, HOUR).unwrap())
}

/// A request for one key, counted by these tables; each worker has its own view of the seed.
fn request(tables: &[CounterStore], host: &dyn Host) -> Vec<LimitVerdict> {
    let Ok(caller) = Seed::default().hash(b"key", host) else {
        return vec![LimitVerdict::Failed];
    };
    let demands: Vec<LimitCheck<'_>> = tables
        .iter()
        .map(|table| LimitCheck {
            table,
            caller,
            cost: 1,
            charge: Charge::Now,
            on_error: OnError::Deny,
            place: (0, 0),
        })
        .collect();
    spend(&demands, NOW, host)
}

fn passes(said: &[LimitVerdict]) -> bool {
    !said.iter().any(LimitVerdict::refuses)
}

/// How much is left for the key.
fn left(tables: &[CounterStore], cells: CellTable) -> Vec<u64> {
    let host = MemoryHost::new().with_cells(cells);
    let caller = Seed::default().hash(b"key", &host).unwrap();
    let remaining = |table: &CounterStore| {
        let draft = table.draft(caller, 1, NOW, &host).unwrap();
        table.rule().remaining(draft.before(), NOW)
    };
    tables.iter().map(remaining).collect()
}

/// Lets workers find a cell missing and make it, in every order: how many of them may come to
/// believe that they have made it.
fn creators(workers: usize, create: fn(&dyn Host, &[u8]) -> CasResult) -> Vec<usize> {
    let ends = RefCell::new(Vec::new());
    Model {
        workers,
        begin: CellTable::default(),
        run: &|index, host| match host.cell("new").unwrap() {
            None => (create(host, &[index as u8]), index),
            Some(_) => (CasResult::Changed, index),
        },
        check: &|results, cells| {
            let written = results
                .iter()
                .filter(|(swap, _)| *swap == CasResult::Written);
            let creators: Vec<usize> = written.map(|(_, index)| *index).collect();
            let (value, _) = cells.read("new").unwrap();
            // Whoever stands there believes so too.
            assert!(creators.contains(&usize::from(value[0])));
            ends.borrow_mut().push(creators.len());
        },
    }
    .explore();
    let mut ends = ends.into_inner();
    ends.sort_unstable();
    ends.dedup();
    ends
}

#[test]
fn of_several_workers_one_creates_a_cell() {
    for workers in [2, 3] {
        let one = creators(workers, |host, value| {
            host.create_cell("new", value).unwrap()
        });
        assert_eq!(one, [1]);
        // A plain write compares nothing: each of them would believe that the cell is its own.
        let plain = creators(workers, |host, value| {
            host.compare_and_swap("new", None, value).unwrap()
        });
        assert_eq!(plain, (1..=workers).collect::<Vec<_>>());
    }
}

#[test]
fn two_workers_begin_with_nothing() {
    for rule in [bucket(1), window(1)] {
        let tables = [CounterStore::new(&["a"], rule, 1)];
        let ends = Model {
            workers: 2,
            begin: CellTable::default(),
            run: &|_, host| request(&tables, host),
            check: &|results, cells| {
                let passed = results.iter().filter(|said| passes(said)).count();
                assert_eq!(passed, 1);
                assert_eq!(cells.keys().count(), 2, "the seed and one cell");
                assert_eq!(left(&tables, cells), [0]);
            },
        }
        .explore();
        assert!(ends > 10, "{ends}");
    }
}

#[test]
fn three_workers_begin_with_nothing() {
    for tokens in 1..=3 {
        let tables = [CounterStore::new(&["a"], bucket(tokens), 1)];
        Model {
            workers: 3,
            begin: CellTable::default(),
            run: &|_, host| request(&tables, host),
            check: &|results, cells| {
                let passed = results.iter().filter(|said| passes(said)).count();
                assert_eq!(passed as u64, tokens);
                assert_eq!(left(&tables, cells), [0]);
            },
        }
        .explore();
    }
}

/// What a proxy's cells are once it has been asked for other keys.
fn begun(tables: &[CounterStore]) -> CellTable {
    let host = MemoryHost::new();
    let mut caller = Seed::default().hash(b"other", &host).unwrap();
    caller.place = Seed::default().hash(b"key", &host).unwrap().place;
    for table in tables {
        let draft = table.draft(caller, 1, NOW, &host).unwrap();
        table.charge(draft, caller, 1, NOW, &host);
    }
    host.cells()
}

#[test]
fn what_one_limit_refuses_is_charged_to_none() {
    for (wide, narrow) in [
        (bucket(2), bucket(1)),
        (bucket(1), bucket(2)),
        (window(2), bucket(1)),
        (bucket(1), window(1)),
    ] {
        let tables = [
            CounterStore::new(&["a"], wide, 2),
            CounterStore::new(&["b"], narrow, 2),
        ];
        for begin in [CellTable::default(), begun(&tables)] {
            Model {
                workers: 2,
                begin,
                run: &|_, host| request(&tables, host),
                check: &|results, cells| {
                    let passed = results.iter().filter(|said| passes(said)).count() as u64;
                    let quotas = [wide.quota(), narrow.quota()];
                    assert!(passed <= quotas[0].min(quotas[1]));
                    assert_eq!(left(&tables, cells), quotas.map(|quota| quota - passed));
                    for said in results.iter().filter(|said| !passes(said)) {
                        let charged =
                            |said: &LimitVerdict| matches!(said, LimitVerdict::Charged(..));
                        assert!(!said.iter().any(charged));
                    }
                },
            }
            .explore();
        }
    }
}

/// A worker that has written remembers the cell, and charges again without reading it: that it is still
/// so, the write shows. Whether marks are counted for all cells or for each apart, the limit is exact, and
/// so is what is left; a second limit gets its marks in between.
#[test]
fn what_workers_remember_of_cells_charges_nothing_twice_and_passes_nothing() {
    let stores = [CellTable::default(), CellTable::numbered_apart()];
    for (begin, rule) in stores
        .into_iter()
        .flat_map(|begin| [bucket(2), bucket(3), window(3)].map(|rule| (begin.clone(), rule)))
    {
        for others in [0, 1] {
            let tables = [
                CounterStore::new(&["a"], rule, 2),
                CounterStore::new(&["b"], bucket(9), 2),
            ];
            let ends = Cell::new(0);
            Model {
                workers: 2,
                begin: begin.clone(),
                run: &|_, host| {
                    let first = passes(&request(&tables[..1], host));
                    if others > 0 {
                        request(&tables[1..], host);
                    }
                    [first, passes(&request(&tables[..1], host))]
                },
                check: &|results, cells| {
                    let passed = results.iter().flatten().filter(|passed| **passed).count() as u64;
                    assert_eq!(passed, rule.quota().min(4));
                    assert_eq!(left(&tables[..1], cells), [rule.quota() - passed]);
                    ends.set(ends.get() + 1);
                },
            }
            .explore();
            assert!(ends.get() > 0);
        }
    }
}

/// Cells that count what is asked of them.
#[derive(Default)]
struct Counted {
    cells: RefCell<CellTable>,
    reads: Cell<u32>,
}

impl Cells for Counted {
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        self.reads.set(self.reads.get() + 1);
        Ok(self.cells.borrow().read(key))
    }

    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        self.cells.borrow_mut().write(key, seen, value)
    }
}

#[test]
fn a_worker_alone_reads_its_cell_until_it_knows_a_mark() {
    let table = CounterStore::new(&["a"], bucket(4), 2);
    let cells = Rc::new(Counted::default());
    let host = MemoryHost::new()
        .with_cell_store(cells.clone())
        .with_cell_memory();
    let caller = Seed::default().hash(b"key", &host).unwrap();
    cells.reads.set(0);
    let charge = || {
        let draft = table.draft_to_charge(caller, 1, NOW, &host).unwrap();
        matches!(
            table.charge(draft, caller, 1, NOW, &host),
            Charged::Made(..)
        )
    };
    // The first makes the cell, the second learns its mark; the last two would be refused by what is
    // remembered, and look.
    let expected = [
        (true, 1),
        (true, 2),
        (true, 2),
        (true, 2),
        (false, 3),
        (false, 4),
    ];
    let seen = expected.map(|_| (charge(), cells.reads.get()));
    assert_eq!(seen, expected);
}

#[test]
fn three_workers_take_back_what_they_charged() {
    let tables = [
        CounterStore::new(&["a"], bucket(3), 2),
        CounterStore::new(&["b"], bucket(1), 2),
    ];
    let ends = Model {
        workers: 3,
        begin: begun(&tables),
        run: &|_, host| request(&tables, host),
        check: &|results, cells| {
            let passed = results.iter().filter(|said| passes(said)).count() as u64;
            assert_eq!(passed, 1);
            assert_eq!(left(&tables, cells), [2, 0]);
        },
    }
    .explore();
    assert!(ends > 10, "{ends}");
}

#[test]
fn workers_meet_in_a_full_cell() {
    // Three keys, two places: whoever comes third makes somebody go, and gains nothing.
    let tables = [CounterStore::new(&["a"], bucket(1), 2)];
    let key = |index: usize| [b"key", b"one", b"two"][index];
    Model {
        workers: 3,
        begin: begun(&[]),
        run: &|index, host| {
            let mut caller = Seed::default().hash(key(index), host).unwrap();
            caller.place = 0;
            let demand = LimitCheck {
                table: &tables[0],
                caller,
                cost: 1,
                charge: Charge::Now,
                on_error: OnError::Deny,
                place: (0, 0),
            };
            [spend(&[demand], NOW, host), spend(&[demand], NOW, host)]
        },
        check: &|results, _| {
            for [_, second] in results {
                assert!(!passes(second), "somebody was forgotten");
            }
            let firsts = results.iter().filter(|[first, _]| passes(first)).count();
            assert_eq!(firsts, 2);
        },
    }
    .explore();
}
