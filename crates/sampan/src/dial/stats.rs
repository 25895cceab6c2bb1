//! What is said of a handful of samples: the middle, and between what half of them lie.

use serde::Serialize;

/// The median of samples, and their lower and upper quartile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * samples.len().checked_sub(1)? as f64;
            let (below, above) =
                (*samples.get(place.floor() as usize)?, *samples.get(place.ceil() as usize)?);
            Some(below + (above - below) * place.fract())
        };
        Some(Self { median: at(0.5)?, low: at(0.25)?, high: at(0.75)? })
    }

    /// All three by the same function, which may turn them around.
    pub(crate) fn map(self, function: impl Fn(f64) -> f64) -> Self {
        let (one, other) = (function(self.low), function(self.high));
        Self { median: function(self.median), low: one.min(other), high: one.max(other) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_samples() {
        let spread = Spread::of(vec![5.0, 1.0, 2.0, 900.0, 3.0]).expect("there are samples");
        assert_eq!(spread, Spread { median: 3.0, low: 2.0, high: 5.0 });
        let spread = Spread::of(vec![1.0, 2.0]).expect("there are samples");
        assert_eq!(spread, Spread { median: 1.5, low: 1.25, high: 1.75 });
        assert_eq!(Spread::of(vec![7.0]).map(|spread| spread.high - spread.low), Some(0.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn what_turns_around_stays_in_order() {
        let turned = Spread { median: 2.0, low: 1.0, high: 4.0 }.map(|value| 1.0 / value);
        assert_eq!(turned, Spread { median: 0.5, low: 0.25, high: 1.0 });
    }
}
