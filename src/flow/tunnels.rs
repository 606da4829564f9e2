//! What flows came through: each row of tunnels once, known by a number, as a network has few and most flows none.

use crate::decode::Tunnels;

/// How many different rows are kept; flows that came through others do not say it.
const MAX_ROWS: usize = 255;

/// Rows of tunnels.
#[derive(Clone, Debug, Default)]
pub struct TunnelRows(Vec<Tunnels>);

impl TunnelRows {
    /// The number of a row, from 1; 0 for none.
    #[inline(always)]
    pub fn number(&mut self, row: Tunnels) -> u16 {
        if row.is_empty() { 0 } else { self.find(row) }
    }

    #[cold]
    fn find(&mut self, row: Tunnels) -> u16 {
        let TunnelRows(rows) = self;
        let at = rows.iter().position(|known| *known == row).unwrap_or(rows.len());
        if at >= MAX_ROWS {
            return 0;
        }
        if at == rows.len() {
            rows.push(row);
        }
        u16::try_from(at.saturating_add(1)).unwrap_or(0)
    }

    /// The row of that number.
    pub fn get(&self, number: u16) -> Tunnels {
        let at = usize::from(number).checked_sub(1);
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
        assert_eq!(rows.number(Tunnels::default()), 0);
        for n in (0..300).chain(0..255) {
            let number = rows.number(row(n));
            assert_eq!(rows.get(number), if n < MAX_ROWS { row(n) } else { Tunnels::default() });
        }
    }
}
