//! Refuses a space in which no trial could begin, before any is begun.

use crate::tune::distribution::Distribution;
use crate::tune::sampler::random::Random;
use crate::tune::sampler::{Question, Sampler};
use crate::tune::space::Space;
use crate::tune::trial::{Direction, Point};
use crate::{Error, Result};

/// Points that are looked at: all of them must make no sense.
const TRIES: u32 = 16;

/// Looks at random points of the space, and of each of its choices; `make` makes of a point what a trial
/// begins with.
///
/// # Errors
/// [`Error::Usage`] with the choice of which, or the reason for which, all of them make no sense.
pub fn check<T>(space: &Space, make: impl Fn(&Point) -> Result<T>) -> Result<()> {
    if let Some(reason) = all_fail(space, &Point::new(), &make)? {
        return Err(Error::Usage(format!(
            "no values of the search space make a trial: {reason}"
        )));
    }
    for parameter in space.parameters() {
        let Distribution::Categorical { choices } = &parameter.distribution else {
            continue;
        };
        if parameter.when.is_some() {
            continue;
        }
        for (ix, choice) in choices.iter().enumerate() {
            let fixed = Point::from([(parameter.name.clone(), ix as f64)]);
            if let Some(reason) = all_fail(space, &fixed, &make)? {
                return Err(Error::Usage(format!(
                    "--space {}: {choice} makes no trial: {reason}",
                    parameter.name
                )));
            }
        }
    }
    Ok(())
}

/// Why the first of the points makes no sense, where none does.
fn all_fail<T>(
    space: &Space,
    fixed: &Point,
    make: &impl Fn(&Point) -> Result<T>,
) -> Result<Option<String>> {
    let mut reason = None;
    for number in 0..TRIES {
        let answer = Random.sample(&Question {
            space,
            directions: &[Direction::Minimize],
            trials: &[],
            number,
            seed: 0,
            fixed,
        })?;
        match make(&answer.point) {
            Ok(_) => return Ok(None),
            Err(e) => reason = reason.or(Some(e.to_string())),
        }
    }
    Ok(reason)
}
