//! Looking for the parameters that cost most, in a few dozen tries.

use std::time::{Duration, Instant};

/// The most shapes that are tried for one family.
const MOST: u32 = 60;
/// By how much a try must be worse to count: less may be chance.
const WORSE: f64 = 1.03;

/// What may be different from one request to another.
pub(super) struct Parameter {
    name: &'static str,
    range: Range,
}

enum Range {
    /// One of these.
    Kinds(&'static [&'static str]),
    /// A number between these two.
    Size { least: usize, most: usize },
}

/// What was found.
pub(super) struct Found {
    pub(super) values: Vec<usize>,
    pub(super) tried: u32,
}

impl Parameter {
    /// One of several kinds, by their names.
    pub(super) const fn kind(name: &'static str, kinds: &'static [&'static str]) -> Self {
        let range = Range::Kinds(kinds);
        Self { name, range }
    }

    /// A number.
    pub(super) const fn size(name: &'static str, least: usize, most: usize) -> Self {
        let range = Range::Size { least, most };
        Self { name, range }
    }

    /// How many kinds there are; none of a size.
    pub(super) fn kinds(&self) -> usize {
        match self.range {
            Range::Kinds(kinds) => kinds.len(),
            Range::Size { .. } => 0,
        }
    }

    fn most(&self) -> usize {
        match self.range {
            Range::Kinds(kinds) => kinds.len().saturating_sub(1),
            Range::Size { most, .. } => most,
        }
    }

    fn clamp(&self, value: f64) -> usize {
        match self.range {
            Range::Kinds(_) => value as usize,
            Range::Size { least, most } => (value.round() as usize).clamp(least, most),
        }
    }
}

/// Where the search begins: the first of each kind, the most of each size.
pub(super) fn first(parameters: &[Parameter]) -> Vec<usize> {
    let value = |parameter: &Parameter| match parameter.range {
        Range::Kinds(_) => 0,
        Range::Size { most, .. } => most,
    };
    parameters.iter().map(value).collect()
}

/// The shape of the highest cost. Each kind is tried at several sizes, then sizes are scaled from
/// their bound down, then all are changed in small steps for as long as that makes it worse.
pub(super) fn worst(
    parameters: &[Parameter],
    deadline: Instant,
    cost: &mut dyn FnMut(&[usize]) -> Result<Duration, String>,
) -> Result<Found, String> {
    let mut climb = Climb {
        best: first(parameters),
        worst: Duration::ZERO,
        tried: 0,
        deadline,
        cost,
    };
    climb.attempt(&climb.best.clone())?;
    for (place, parameter) in parameters.iter().enumerate() {
        climb.kinds(parameters, place, parameter.kinds())?;
    }
    for (place, parameter) in parameters.iter().enumerate() {
        if let Range::Size { most, .. } = parameter.range {
            for part in [2.0, 8.0, 32.0, 128.0, 512.0, 4096.0] {
                climb.change(place, parameter.clamp(most as f64 / part))?;
            }
        }
    }
    loop {
        let before = climb.worst;
        for (place, parameter) in parameters.iter().enumerate() {
            match parameter.range {
                Range::Kinds(kinds) => {
                    for kind in 0..kinds.len() {
                        climb.change(place, kind)?;
                    }
                }
                Range::Size { .. } => {
                    for factor in [1.5, 0.66, 1.1, 0.9] {
                        let now = climb.best.get(place).copied().unwrap_or(0) as f64;
                        climb.change(place, parameter.clamp(now * factor))?;
                    }
                }
            }
        }
        if climb.worst == before || climb.is_over() {
            let (values, tried) = (climb.best, climb.tried);
            return Ok(Found { values, tried });
        }
    }
}

/// As in `text: letters; bytes: 60000`.
pub(super) fn describe(parameters: &[Parameter], values: &[usize]) -> String {
    let described = parameters.iter().zip(values).map(|(parameter, value)| {
        let name = parameter.name;
        match parameter.range {
            Range::Kinds(kinds) => kinds.get(*value).copied().unwrap_or_default().to_owned(),
            Range::Size { .. } => format!("{name} {value}"),
        }
    });
    described.collect::<Vec<_>>().join(", ")
}

struct Climb<'a> {
    best: Vec<usize>,
    worst: Duration,
    tried: u32,
    deadline: Instant,
    cost: &'a mut dyn FnMut(&[usize]) -> Result<Duration, String>,
}

impl Climb<'_> {
    fn is_over(&self) -> bool {
        self.tried >= MOST || Instant::now() >= self.deadline
    }

    /// Each kind, at the bound of all sizes and well below.
    fn kinds(
        &mut self,
        parameters: &[Parameter],
        place: usize,
        count: usize,
    ) -> Result<(), String> {
        for kind in 0..count {
            for part in [1.0, 16.0, 256.0] {
                let mut values = self.best.clone();
                for (value, parameter) in values.iter_mut().zip(parameters) {
                    if let Range::Size { .. } = parameter.range {
                        *value = parameter.clamp(parameter.most() as f64 / part);
                    }
                }
                if let Some(value) = values.get_mut(place) {
                    *value = kind;
                }
                self.attempt(&values)?;
            }
        }
        Ok(())
    }

    fn change(&mut self, place: usize, to: usize) -> Result<(), String> {
        let mut values = self.best.clone();
        match values.get_mut(place) {
            Some(value) if *value != to => *value = to,
            _ => return Ok(()),
        }
        self.attempt(&values)
    }

    fn attempt(&mut self, values: &[usize]) -> Result<(), String> {
        if self.is_over() && self.tried > 0 {
            return Ok(());
        }
        self.tried += 1;
        let cost = (self.cost)(values)?;
        if cost > self.worst.mul_f64(WORSE) {
            (self.worst, self.best) = (cost, values.to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_a_hill_is_found() {
        let parameters = [
            Parameter::kind("text", &["plain", "hostile"]),
            Parameter::size("bytes", 1, 100_000),
        ];
        // Too much of it is refused early.
        let mut cost = |values: &[usize]| {
            let steps = match (values[0], values[1]) {
                (1, bytes) if bytes < 5000 => bytes * 10,
                (_, bytes) => bytes / 100,
            };
            Ok(Duration::from_micros(steps as u64))
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let found = worst(&parameters, deadline, &mut cost).unwrap();
        assert_eq!(found.values[0], 1);
        assert!(
            (4000..5000).contains(&found.values[1]),
            "{:?}",
            found.values
        );
        assert!(found.tried <= MOST);
        let described = describe(&parameters, &found.values);
        assert!(described.starts_with("hostile, bytes 4"), "{described}");
    }

    #[test]
    fn no_time_is_one_try() {
        let parameters = [Parameter::size("bytes", 1, 9)];
        let mut cost = |_: &[usize]| Ok(Duration::ZERO);
        let found = worst(&parameters, Instant::now(), &mut cost).unwrap();
        assert_eq!((found.values, found.tried), (vec![9], 1));
    }
}
