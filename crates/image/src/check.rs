//! The second look at a manifest: whether what parses can be meant.

use crate::{Manifest, Problem};

pub(crate) fn check(_manifest: &Manifest) -> Vec<Problem> {
    Vec::new()
}
