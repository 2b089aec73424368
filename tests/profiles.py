"""How many examples the property tests run: `SIPGW_HYPOTHESIS` = `few`, `default`, `ci` or `million`.

In: the environment. Out: the loaded profile; `thorough` for properties that deserve more, `promised` for the product's.
`few` is for another Python, where the examples would be no others. All but `million` are deterministic: the same
examples on every run, so that a red build stays red until it is mended. `million` draws anew each time and is for a
machine that has the night off.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

#: Profile -> (examples per property, per thorough property, per promised property).
EXAMPLES = {
    "few": (20, 50, 50),
    "default": (100, 500, 500),
    "ci": (200, 2_000, 20_000),
    "million": (20_000, 200_000, 1_000_000),
}

#: Profile -> seconds that a property may take; 0 is for ever.
TIMEOUT = {"few": 120, "default": 120, "ci": 900, "million": 0}


def selected() -> str:
    """The profile's name: `SIPGW_HYPOTHESIS`, else `ci` on a build machine (`CI=true`), else `default`.

    Raises:
        ValueError: no such profile.
    """
    name = os.environ.get("SIPGW_HYPOTHESIS") or ("ci" if os.environ.get("CI") == "true" else "default")
    if name not in EXAMPLES:
        raise ValueError(f"SIPGW_HYPOTHESIS={name}: no such profile, there are {', '.join(EXAMPLES)}")
    return name


def load() -> None:
    """Registers the profiles and loads the selected one; conftest does this before any test is imported."""
    for name, (examples, *_) in EXAMPLES.items():
        settings.register_profile(
            name,
            max_examples=examples,
            deadline=None,
            derandomize=name != "million",
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(selected())


#: Decorator for a property that deserves more examples than most: `@thorough` above `@given(...)`.
thorough = settings(max_examples=EXAMPLES[selected()][1], deadline=None)

#: Decorator for what the product promises of any input (manifest -> XML -> read back), and nothing else: it is slow.
promised = settings(max_examples=EXAMPLES[selected()][2], deadline=None)
