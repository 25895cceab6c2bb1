//! Landlock: the same directories once more, held by another part of the kernel, and TCP by port.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::layer::{Layer, State};
use super::{Network, Plan};

/// The newest version that is asked for; an older kernel holds what it knows of it.
const NEWEST: ABI = ABI::V6;

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

fn ruleset(plan: &Plan) -> Result<RulesetCreated, Box<dyn std::error::Error>> {
    let everything = AccessFs::from_all(NEWEST);
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(everything)?
        .scope(Scope::from_all(NEWEST))?;
    let (to, at) = match &plan.network {
        Network::None => (Some(&[][..]), Some(&[][..])),
        Network::Granted { connect, listen } => (connect.as_deref(), listen.as_deref()),
    };
    if to.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    if at.is_some() {
        rules = rules.handle_access(AccessNet::BindTcp)?;
    }
    let mut rules = rules.create()?;
    for dir in &plan.dirs {
        let access: BitFlags<AccessFs> =
            if dir.read_only { AccessFs::from_read(NEWEST) } else { everything } & !AccessFs::Execute;
        rules = rules.add_rule(PathBeneath::new(PathFd::new(&dir.path)?, access))?;
    }
    if let Network::Granted { .. } = plan.network
        && let Ok(resolver) = PathFd::new("/etc")
    {
        rules = rules.add_rule(PathBeneath::new(resolver, AccessFs::ReadFile))?;
    }
    for port in to.unwrap_or_default() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    for port in at.unwrap_or_default() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(rules)
}
