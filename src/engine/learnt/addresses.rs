//! The addresses of DNS answers, who asked and what was told, one answer's after the other's. Most are IPv4 and take
//! four bytes.

use super::Answer;
use crate::decode::{Addr, Packet};

/// The addresses of a shard's answers.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    words: Vec<u32>,
    count: usize,
}

/// Words of an address that is not kept as IPv4.
const WIDE: usize = 4;

/// Words of an address.
const fn each(wide: bool) -> usize {
    if wide { WIDE } else { 1 }
}

impl Addresses {
    /// An answer that came in `packet`, for the name of that number.
    pub fn begin(&mut self, packet: &Packet, name: u32) -> Answer {
        let mut answer = Answer::new(packet, name);
        self.place(&mut answer, packet.dst);
        answer
    }

    /// Makes room for an answer to `client`, which is the last one from now on.
    fn place(&mut self, answer: &mut Answer, client: Addr) {
        let first = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        (answer.first, answer.count, answer.wide) = (first, 0, false);
        self.add(answer.client_v6, client);
    }

    fn add(&mut self, wide: bool, address: Addr) {
        match wide {
            true => self.words.extend(words(address)),
            false => self.words.push(address.low32()),
        }
    }

    /// Adds an address to `answer`, which is the last one.
    pub fn push(&mut self, answer: &mut Answer, address: Addr) {
        if !answer.wide && !address.is_mapped() {
            self.widen(answer);
        }
        self.add(answer.wide, address);
        answer.count = answer.count.saturating_add(1);
        self.count = self.count.saturating_add(1);
    }

    #[cold]
    fn widen(&mut self, answer: &mut Answer) {
        let first = (answer.first as usize).saturating_add(each(answer.client_v6));
        let narrow = self.words.split_off(first.min(self.words.len()));
        self.words.extend(narrow.into_iter().flat_map(|word| words(Addr::v4(word.to_be_bytes()))));
        answer.wide = true;
    }

    /// Takes over those of an answer from where they were `before`.
    pub fn move_in(&mut self, answer: &mut Answer, before: &Addresses) {
        let told = before.of(answer);
        self.place(answer, told.client);
        told.for_each(|address| self.push(answer, address));
    }

    /// Those of an answer.
    #[inline]
    pub fn of(&self, answer: &Answer) -> Told<'_> {
        let words = usize::from(answer.count).saturating_mul(each(answer.wide));
        let (first, words) = (answer.first as usize, words.saturating_add(each(answer.client_v6)));
        let mut words = self.words.get(first..first.saturating_add(words)).unwrap_or_default().iter();
        let client = read(&mut words, answer.client_v6).unwrap_or_default();
        Told { client, words, wide: answer.wide }
    }

    /// How many were told.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Bytes of memory held.
    pub fn memory(&self) -> usize {
        self.words.capacity().saturating_mul(size_of::<u32>())
    }
}

/// The addresses of one answer: each that was told.
#[derive(Clone, Debug)]
pub struct Told<'a> {
    /// Who asked.
    pub client: Addr,
    words: std::slice::Iter<'a, u32>,
    wide: bool,
}

impl Iterator for Told<'_> {
    type Item = Addr;

    #[inline]
    fn next(&mut self) -> Option<Addr> {
        read(&mut self.words, self.wide)
    }
}

/// Takes an address.
#[inline]
fn read(words: &mut std::slice::Iter<'_, u32>, wide: bool) -> Option<Addr> {
    let word = *words.next()?;
    if !wide {
        return Some(Addr::v4(word.to_be_bytes()));
    }
    let bits = words.take(WIDE - 1).fold(u128::from(word), |bits, word| bits << 32 | u128::from(*word));
    Some(Addr::v6(bits.to_be_bytes()))
}

fn words(address: Addr) -> [u32; WIDE] {
    let (high, low) = (address.high64(), address.low64());
    [(high >> 32) as u32, high as u32, (low >> 32) as u32, low as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::Packet;

    #[test]
    fn each_answer_has_its_own_whatever_their_family() {
        let (v4, v6) = (|n| Addr::v4([10, 0, 0, n]), |n| Addr::v6([0xfd, n, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, n]));
        let told = [vec![v4(1), v4(2)], vec![v6(1)], vec![v4(3), v6(2), v4(4)], vec![], vec![v6(3), v4(5)]];
        for clients in [[v4(9), v4(9), v4(9), v4(9), v4(9)], [v6(9), v4(9), v6(9), v6(9), v4(9)]] {
            let mut addresses = Addresses::default();
            let add = |addresses: &mut Addresses, (told, client): (&Vec<Addr>, Addr)| {
                let mut answer =
                    addresses.begin(&Packet { dst: client, v6: !client.is_mapped(), ..Packet::default() }, 1);
                told.iter().for_each(|address| addresses.push(&mut answer, *address));
                answer
            };
            let each = || told.iter().zip(clients);
            let mut answers: Vec<Answer> = each().map(|one| add(&mut addresses, one)).collect();
            for (answer, (told, client)) in answers.iter().zip(each()) {
                assert_eq!((addresses.of(answer).client, &addresses.of(answer).collect::<Vec<_>>()), (client, told));
            }
            let mut moved = Addresses::default();
            for (answer, (told, client)) in answers.iter_mut().zip(each()).skip(1) {
                moved.move_in(answer, &addresses);
                assert_eq!((moved.of(answer).client, &moved.of(answer).collect::<Vec<_>>()), (client, told));
            }
            assert_eq!((addresses.count(), moved.count()), (8, 6));
        }
        assert!(size_of::<Answer>() <= 32);
    }
}
