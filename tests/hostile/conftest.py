import pytest

SECRET = "a secret of this machine"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder for the file, one for temporary files, one beside them."""
    for name in ("mine", "scratch", "outside"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    # Folders are removed by names relative to another.
    monkeypatch.chdir(tmp_path / "scratch")
    return tmp_path
