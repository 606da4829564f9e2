//! Systems other than Linux: macOS and the BSDs by libpcap over BPF devices, Windows by Npcap. Nothing of this module
//! is tested there.

use super::{Allowed, Confined, LinkState};

/// Nanoseconds in the fraction of a time stamp: libpcap is not asked for nanoseconds everywhere, so they are
/// microseconds.
pub const NANOS_PER_FRACTION: u64 = 1_000;

/// How a link stands: libpcap tells when it opens one.
pub fn link_state(_: &str) -> LinkState {
    LinkState::Unknown
}

/// What the system numbers an interface by: not asked for here.
pub fn interface_index(_: &str) -> Option<u32> {
    None
}

/// What the system calls itself.
pub fn system() -> String {
    std::env::consts::OS.to_owned()
}

/// Whether this user may capture: known only by trying.
pub fn may_capture() -> Option<bool> {
    None
}

/// Who has started us: not known here.
pub fn is_headless() -> bool {
    false
}

/// Confines the process: not done here.
///
/// # Errors
/// None.
pub fn confine(_: &Allowed) -> Result<Confined, String> {
    Ok(Confined {
        undone: vec!["privileges are kept: this system's means are not used".to_owned()],
        ..Confined::default()
    })
}

/// Cores are the system's affair here.
pub fn keep_to_one_core() {}

/// Whether less than two cores are this process's own, as far as the system says.
pub fn has_one_core() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1)
}

/// So is what runs first.
pub fn stand_back() {}

/// The hardware address of an interface: not asked for here.
pub fn hardware_address(_: &str) -> Option<[u8; 6]> {
    None
}

/// Whether files can be made in that folder, as far as its permissions say.
pub fn may_write(folder: &std::path::Path) -> bool {
    std::fs::metadata(folder).is_ok_and(|folder| !folder.permissions().readonly())
}
