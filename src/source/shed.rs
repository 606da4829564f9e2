//! How much an analysis passes over where there is no time for all of it, and how a capture says so.

/// How much is passed over; each stage passes over what those before it do, and more. Frames and their bytes are counted
/// at every stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shed {
    /// All is inspected.
    #[default]
    Nothing,
    /// The payload of bulk flows is not.
    Bulk,
    /// Nor is that of flows between strangers: hosts that were not of the system when all was last judged. None of those
    /// that begin are followed. What is asked of DNS is inspected, as by that hosts become known.
    Strangers,
    /// Frames are only counted.
    Everything,
}

impl Shed {
    /// All stages, the least first.
    pub const ALL: [Shed; 4] = [Shed::Nothing, Shed::Bulk, Shed::Strangers, Shed::Everything];

    /// The comment at a frame by which a capture says that from there on its analysis was at this stage.
    pub const fn remark(self) -> &'static str {
        match self {
            Shed::Nothing => "all payload is inspected from here on",
            Shed::Bulk => "payload of bulk flows is not inspected from here on",
            Shed::Strangers => "only the system's own flows and DNS are inspected from here on, but for bulk",
            Shed::Everything => "frames are counted and not analyzed from here on",
        }
    }

    /// The stage that a comment speaks of, if any.
    pub fn of_remark(comment: &[u8]) -> Option<Shed> {
        Shed::ALL.into_iter().find(|stage| stage.remark().as_bytes() == comment)
    }
}
