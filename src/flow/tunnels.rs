//! What flows came through: each row of tunnels once, known by a number, as a network has few and most flows none.

use crate::decode::Tunnels;

/// How many different rows are kept; flows that came through others do not say it.
const MAX_ROWS: usize = 127;

/// How a flow's first packet came: two VLAN ids of 12 bits (IEEE 802.1Q §9.6), and the number of a row of tunnels. Or,
/// with the upper bit, the number of where this stands with all else that few flows have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way(u32);

const VLAN_BITS: u32 = 12;
const VLAN: u16 = (1 << VLAN_BITS) - 1;
const ELSEWHERE: u32 = 1 << 31;

impl Way {
    /// It stands elsewhere, under that number.
    pub(super) const fn elsewhere(number: u32) -> Way {
        Way(ELSEWHERE | number)
    }

    /// The number of where it stands, if that is elsewhere.
    #[inline(always)]
    pub(super) const fn place(self) -> Option<u32> {
        if self.0 & ELSEWHERE == 0 { None } else { Some(self.0 & !ELSEWHERE) }
    }

    /// VLAN ids, the outermost and the innermost; 0 is none.
    pub const fn vlan(self) -> [u16; 2] {
        [self.0 as u16 & VLAN, (self.0 >> VLAN_BITS) as u16 & VLAN]
    }

    const fn row(self) -> u8 {
        (self.0 >> (2 * VLAN_BITS)) as u8
    }
}

/// Rows of tunnels.
#[derive(Clone, Debug, Default)]
pub struct TunnelRows(Vec<Tunnels>);

impl TunnelRows {
    /// How a packet with these VLAN ids came through that row.
    #[inline(always)]
    pub fn way(&mut self, vlan: [u16; 2], row: Tunnels) -> Way {
        let [outer, inner] = vlan.map(|id| u32::from(id & VLAN));
        Way(outer | inner << VLAN_BITS | u32::from(self.number(row)) << (2 * VLAN_BITS))
    }

    /// The number of a row, from 1; 0 for none.
    #[inline(always)]
    fn number(&mut self, row: Tunnels) -> u8 {
        if row.is_empty() { 0 } else { self.find(row) }
    }

    #[cold]
    fn find(&mut self, row: Tunnels) -> u8 {
        let TunnelRows(rows) = self;
        let at = rows.iter().position(|known| *known == row).unwrap_or(rows.len());
        if at >= MAX_ROWS {
            return 0;
        }
        if at == rows.len() {
            rows.push(row);
        }
        u8::try_from(at.saturating_add(1)).unwrap_or(0)
    }

    /// The tunnels of a way.
    pub fn get(&self, way: Way) -> Tunnels {
        let at = usize::from(way.row()).checked_sub(1);
        at.and_then(|at| self.0.get(at)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Tunnel;

    #[test]
    fn rows_are_kept_once_and_not_without_end() {
        let all = [Tunnel::Gre, Tunnel::Vxlan, Tunnel::Mpls, Tunnel::Pppoe, Tunnel::Nsh];
        let row = |n: usize| {
            let mut row = Tunnels::default();
            for k in 0..4 {
                row.push(all[n / 5usize.pow(k) % 5]).unwrap();
            }
            row
        };
        let mut rows = TunnelRows::default();
        assert_eq!(rows.way([0; 2], Tunnels::default()), Way::default());
        for n in (0..300).chain(0..255) {
            let vlan = [n as u16 * 13, 4095 - n as u16];
            let way = rows.way(vlan, row(n));
            assert_eq!(way.vlan(), vlan);
            assert!(way.place().is_none() && Way::elsewhere(n as u32).place() == Some(n as u32));
            assert_eq!(rows.get(way), if n < MAX_ROWS { row(n) } else { Tunnels::default() });
        }
    }
}
