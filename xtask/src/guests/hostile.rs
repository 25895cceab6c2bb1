//! `guests/hostile`: attacks in C and in Rust side by side; those in text are used as they are.

use super::c::C;
use super::rust::Rust;
use super::*;

pub(super) struct Hostile<'a> {
    pub(super) c: C,
    pub(super) rust: Rust<'a>,
}

impl Kind for Hostile<'_> {
    fn name(&self) -> &'static str {
        self.c.name()
    }

    fn programs(&self, sources: &Path) -> Result<Vec<Program>> {
        let mut programs = self.c.programs(sources)?;
        programs.extend(self.rust.programs(sources)?);
        Ok(programs)
    }

    fn build(&self, programs: &[&Program], sources: &Path, out: &Path) -> Result<()> {
        let is_c = |program: &&Program| sources.join(format!("{}.c", program.name)).is_file();
        let (c, rust): (Vec<_>, Vec<_>) = programs.iter().copied().partition(is_c);
        self.c.build(&c, sources, out)?;
        self.rust.build(&rust, sources, out)
    }
}
