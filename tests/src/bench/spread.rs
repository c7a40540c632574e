//! What several rounds say together.

use std::fmt;

use serde::{Serialize, Serializer};

/// The median of all rounds, the least and the most, and what is left when others disturb least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Aggregation {
    #[serde(serialize_with = "rounded")]
    pub(super) median: f64,
    #[serde(serialize_with = "rounded")]
    pub(super) min: f64,
    #[serde(serialize_with = "rounded")]
    pub(super) max: f64,
    /// The mean of the lowest third of the rounds.
    #[serde(serialize_with = "rounded")]
    pub(super) low: f64,
}

/// To three decimals; what follows is noise.
pub(super) fn rounded<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e3).round() / 1e3)
}

impl Aggregation {
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            0 => (values[middle - 1] + values[middle]) / 2.0,
            _ => values[middle],
        };
        let third = values.get(..(values.len() / 3).max(1)).unwrap_or_default();
        let low = third.iter().sum::<f64>() / third.len() as f64;
        Self {
            median,
            min,
            max,
            low,
        }
    }
}

/// `median (min–max)`, with the precision asked for.
impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(1);
        let Self {
            median, min, max, ..
        } = self;
        write!(f, "{median:.digits$} ({min:.digits$}–{max:.digits$})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        let spread = Aggregation::of([4.0, 1.0, 3.0, 2.0]);
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 4.0));
        assert_eq!(Aggregation::of([]), Aggregation::default());
    }

    #[test]
    fn what_is_low_is_a_third_of_the_rounds() {
        let low = |rounds: &[f64]| Aggregation::of(rounds.iter().copied()).low;
        assert_eq!(low(&[7.0, 5.0, 3.0, 9.0, 9.0, 9.0]), 4.0);
        assert_eq!(low(&[7.0, 5.0, 3.0]), 3.0);
        assert_eq!(low(&[2.0]), 2.0);
    }

    #[test]
    fn text() {
        assert_eq!(
            format!("{:.2}", Aggregation::of([1.0, 2.0])),
            "1.50 (1.00–2.00)"
        );
    }
}
