"""What a page consists of is asked for all at once, and all of it comes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.web.live import easel_served
from tests.web.served import connect

ROOT = Path(__file__).resolve().parents[2]


def test_a_page_gets_all_its_files_at_once() -> None:
    files = sorted((ROOT / "static" / "console" / "css").glob("*.css"))
    assert len(files) > 8

    def status(file: Path) -> int:
        connection = connect(port)
        connection.request("GET", f"/static/console/css/{file.name}")
        answer = connection.getresponse()
        assert answer.read() == file.read_bytes()
        connection.close()
        return answer.status

    with easel_served() as port, ThreadPoolExecutor(len(files)) as browsers:
        assert set(browsers.map(status, files)) == {200}
