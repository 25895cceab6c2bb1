//! What is said of a handful of samples: robust against the one that a busy machine spoilt.

/// The middle value, or the mean of the two in the middle. `None` of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some((lower + upper) / 2.0)
}

/// The median absolute deviation from the median.
pub(crate) fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values.to_vec())?;
    median(values.iter().map(|value| (value - middle).abs()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_moves_neither() {
        assert_eq!(median(vec![3.0, 1.0, 900.0, 2.0, 2.5]), Some(2.5));
        assert_eq!(spread(&[3.0, 1.0, 900.0, 2.0, 2.5]), Some(0.5));
    }

    #[test]
    fn even_numbers_and_none() {
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
        assert_eq!(spread(&[]), None);
    }
}
