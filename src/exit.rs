//! How the program ends.

use std::process::ExitCode;

/// What an exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    // In the order of precedence, the weakest first.
    /// 0: nothing to complain of.
    Fine,
    /// 5: the capture is too poor to judge; only where a severity to fail on was given.
    Poor,
    /// 1: a finding at or above the severity to fail on.
    Finding,
    /// 3: input unreadable or cut short; what could be read is reported.
    Input,
    /// 4: no permission, or no such interface.
    Permission,
    /// 2: the command line is wrong.
    Usage,
    /// 130: interrupted; the report is still written.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Fine => 0,
            Exit::Finding => 1,
            Exit::Usage => 2,
            Exit::Input => 3,
            Exit::Permission => 4,
            Exit::Poor => 5,
            Exit::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Gathers what happened in a run, and keeps what counts most.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    fail_on: bool,
    worst: Exit,
}

impl Outcome {
    /// Nothing happened yet. Without `fail_on` (a severity was given to fail on) a poor capture or a finding does
    /// not count.
    pub const fn new(fail_on: bool) -> Self {
        Outcome { fail_on, worst: Exit::Fine }
    }

    /// This happened.
    pub fn note(&mut self, exit: Exit) {
        if self.fail_on || !matches!(exit, Exit::Poor | Exit::Finding) {
            self.worst = self.worst.max(exit);
        }
    }

    /// What the process ends with.
    pub const fn exit(self) -> Exit {
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn precedence() {
        let code = |fail_on, happened: &[Exit]| {
            let mut outcome = Outcome::new(fail_on);
            happened.iter().for_each(|e| outcome.note(*e));
            outcome.exit().code()
        };
        assert_eq!(code(true, &[]), 0);
        assert_eq!(code(true, &[Exit::Poor]), 5);
        assert_eq!(code(false, &[Exit::Poor, Exit::Finding]), 0);
        assert_eq!(code(true, &[Exit::Finding, Exit::Poor]), 1);
        assert_eq!(code(true, &[Exit::Finding, Exit::Input]), 3);
        assert_eq!(code(true, &[Exit::Permission, Exit::Input]), 4);
        assert_eq!(code(true, &[Exit::Input, Exit::Usage, Exit::Permission]), 2);
        assert_eq!(code(true, &[Exit::Interrupted, Exit::Usage]), 130);
    }
}
