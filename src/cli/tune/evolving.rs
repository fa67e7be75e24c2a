//! Population-based training: the worst trials of a population go on from the best.

use super::population::Seat;
use super::running::Running;
use super::trainer::Trainer;
use crate::Result;
use crate::tune::study::json;
use crate::tune::{pbt, settings};

impl Trainer<'_> {
    /// Lets the worst trials go on from the best, where it is time to.
    pub fn evolve(
        &mut self,
        running: &mut Running,
        seats: &mut [Option<Seat>],
        seed: u64,
    ) -> Result<()> {
        let epoch = running.state.epoch - 1;
        if !epoch.is_multiple_of(pbt::interval(running.setup.config.epochs)) {
            return Ok(());
        }
        let taken: Vec<usize> = (0..seats.len()).filter(|&ix| seats[ix].is_some()).collect();
        let last = |ix: &usize| {
            let seat = seats[*ix].as_ref();
            let values = seat.map(|seat| seat.trial.intermediate.values());
            values
                .and_then(|mut v| v.next_back())
                .copied()
                .unwrap_or(f64::NAN)
        };
        let values: Vec<f64> = taken.iter().map(last).collect();
        let number = |ix: usize| seats[ix].as_ref().map_or(0, |seat| seat.trial.number);
        let (_, direction) = self.objective.first();
        let pairs = pbt::exploit(&values, direction, |ix| {
            pbt::stream(seed, number(taken[ix]), epoch)
        });
        for (loser, winner) in pairs {
            let (loser, winner) = (taken[loser], taken[winner]);
            let Some(from) = seats[winner].as_ref() else {
                continue;
            };
            let (from_point, from_number) = (from.point.clone(), from.trial.number);
            let Some(seat) = seats[loser].as_mut() else {
                continue;
            };
            let mut draws = pbt::stream(seed, seat.trial.number, epoch | 1 << 31);
            let space = self.study.space();
            let may_change = |name: &str| !settings::is_structural(space, name);
            let point = pbt::explore(space, &from_point, &mut draws, may_change);
            // Values that make no sense together are left alone.
            let Ok(mut config) = self.config_at(&point, seat.trial.number) else {
                continue;
            };
            config.device = seat.config.device.clone();
            // One that took another's place counts its own epochs.
            let own = seat.epoch().unwrap_or(epoch);
            let values: Vec<String> = point
                .iter()
                .filter_map(|(name, value)| {
                    let external = space.get(name)?.distribution.external(*value);
                    Some(format!("{}: {}", json(name), external.to_json()))
                })
                .collect();
            seat.changes.push(format!(
                "{{\"epoch\": {own}, \"from\": {from_number}, \"params\": {{{}}}}}",
                values.join(", ")
            ));
            (seat.point, seat.config) = (point, config);
            running.inherit(loser, winner, &seat.config)?;
        }
        Ok(())
    }
}
