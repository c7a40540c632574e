//! Texts that may be attacks.

use portcullis::detect::{Class, Classes, Context, Detector, Scores, Sensitivity, allowance};
use portcullis::effort::Effort;

const CONTEXTS: [Context; 6] = [
    Context::Path,
    Context::Name,
    Context::Value,
    Context::Header,
    Context::Json,
    Context::Text,
];

thread_local! {
    static ALL: Detector = Detector::new(Classes::ALL);
    static EACH: [Detector; Class::ALL.len()] =
        Class::ALL.map(|class| Detector::new(Classes::NONE.with(class)));
}

/// What is found of a class is the same whatever others are looked for or left out, and with less effort it is the same
/// or not known. It takes no more effort than a little for each byte. Another text takes nothing away from what was
/// found, and the same text again adds little.
///
/// # Panics
/// When that does not hold.
pub fn detect(bytes: &[u8]) -> bool {
    let Some((first, text)) = bytes.split_first() else {
        return false;
    };
    let context = CONTEXTS[usize::from(*first) % CONTEXTS.len()];
    let length = u64::try_from(text.len()).unwrap();
    let judge = |detector: &Detector, left_out: Classes, steps: u64, scores: &mut Scores| {
        let effort = Effort::new(steps);
        let judged = detector.judge(text, context, left_out, &effort, scores);
        judged.map(|()| steps - effort.left())
    };
    ALL.with(|all| {
        let mut scores = Scores::default();
        let spent = judge(all, Classes::NONE, u64::MAX, &mut scores).unwrap();
        assert!(spent <= allowance(length, 1).saturating_mul(12), "{spent}");
        let found: Vec<_> = scores.each().collect();

        let mut enough = Scores::default();
        judge(all, Classes::NONE, spent, &mut enough).unwrap();
        assert!(enough.each().eq(found.iter().copied()));
        if spent > 0 {
            let less = judge(all, Classes::NONE, spent - 1, &mut Scores::default());
            assert!(less.is_err());
        }

        for class in Class::ALL {
            let of_class = found.iter().copied().filter(|found| found.class == class);
            let mut alone = Scores::default();
            EACH.with(|each| judge(&each[class as usize], Classes::NONE, u64::MAX, &mut alone))
                .unwrap();
            assert!(alone.each().eq(of_class), "{}", class.name());
            let mut without = Scores::default();
            let left_out = Classes::NONE.with(class);
            judge(all, left_out, u64::MAX, &mut without).unwrap();
            let others = found.iter().copied().filter(|found| found.class != class);
            assert!(without.each().eq(others), "{}", class.name());
        }

        judge(all, Classes::NONE, u64::MAX, &mut enough).unwrap();
        for (once, twice) in found.iter().zip(enough.each()) {
            assert_eq!((once.class, once.kind), (twice.class, twice.kind));
            assert!((once.score..=once.score + 15).contains(&twice.score));
        }
        scores.found(Sensitivity::Medium).is_some()
    })
}
