"""Every text and vision model of transformers, small: equal to softmax1, or refused (hugging_face.json)."""

import argparse
import json
import warnings
from dataclasses import asdict
from pathlib import Path

import torch
import transformers
from small_models import NAMES, Compared, compare

OUTPUT = Path(__file__).parent / "hugging_face.json"


def main() -> None:
    """Compare every model, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="kinds of models; all without")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows = []
    for name in asked.names or NAMES:
        try:
            row = compare(name)
        except Exception as error:
            row = Compared(
                name, "failed", why=" ".join(f"{type(error).__name__}: {error}".split())[:200]
            )
        rows.append(asdict(row))
        if asked.names or row.outcome in ("differs", "failed"):
            print(row, flush=True)
    outcomes = [row["outcome"] for row in rows]
    print({outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))})
    if not asked.names:
        content = {"kind": "hugging_face", "version": 1, "transformers": transformers.__version__}
        content["cells"] = {row["name"]: row for row in rows}
        asked.output.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
