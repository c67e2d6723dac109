"""Build the wheel, install it alone into a fresh environment, and ship the sample product with it."""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return 0 where the wheel works without the checkout."""
    with tempfile.TemporaryDirectory(prefix="wheel-") as folder:
        here = Path(folder)
        run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(here / "dist"), str(ROOT))
        wheel = next((here / "dist").glob("pilothouse-*.whl"))
        venv.create(here / "env", with_pip=True)
        python = here / "env" / "bin" / "python"
        run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[demo]")
        pilothouse = str(here / "env" / "bin" / "pilothouse")
        run(pilothouse, "workflow", "check", cwd=here)
        run(pilothouse, "agent", "check", cwd=here)
        run(pilothouse, "demo", cwd=here)
        print(f"wheel ok: {wheel.name}")
    return 0


def run(*argv: str, cwd: Path = ROOT) -> None:
    """Run one command; its failure is ours."""
    subprocess.run(argv, cwd=cwd, check=True, stdin=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
