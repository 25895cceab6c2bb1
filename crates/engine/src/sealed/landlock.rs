//! Landlock: the same directories once more, held by another part of the kernel; and no TCP.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::Plan;
use super::layer::{Layer, State};

/// The newest version that is asked for; an older kernel holds what it knows of it.
pub(crate) const NEWEST: ABI = ABI::V6;

/// Restricts this thread, and those that it starts.
pub(super) fn restrict(plan: &Plan) -> Layer {
    let name = "Landlock";
    let because = |why: &dyn std::fmt::Display| {
        Layer::new(name, State::Replaced(format!("{why}; the root and the mounts in it hold the same")))
    };
    match ruleset(plan).and_then(|rules| Ok(rules.restrict_self()?)) {
        Ok(status) => match status.ruleset {
            RulesetStatus::FullyEnforced => Layer::new(name, State::Held(String::new())),
            RulesetStatus::PartiallyEnforced => {
                Layer::new(name, State::Held("what this kernel knows of it".to_owned()))
            }
            RulesetStatus::NotEnforced => because(&"this kernel has none"),
        },
        Err(error) => because(&error),
    }
}

/// Rules by which nothing may be touched, as far as this kernel knows of it, until more are added.
pub(crate) fn nothing() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

fn ruleset(plan: &Plan) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let mut rules = nothing()?;
    for dir in &plan.dirs {
        let may: fn(ABI) -> BitFlags<AccessFs> =
            if dir.read_only { AccessFs::from_read } else { AccessFs::from_all };
        let access = may(NEWEST) & !AccessFs::Execute;
        rules = rules.add_rule(PathBeneath::new(PathFd::new(&dir.path)?, access))?;
    }
    if plan.network.is_granted()
        && let Ok(resolver) = PathFd::new("/etc")
    {
        rules = rules.add_rule(PathBeneath::new(resolver, AccessFs::ReadFile))?;
    }
    Ok(rules)
}
