from PIL import Image

from shirg_train.testbed.pages import PageConfig, contact_sheet, draw_pages, save_contact_sheet


def test_a_sheet_shows_every_page_and_frames_the_answer(tmp_path):
    batch = draw_pages(PageConfig(size=112, patch=8, facts=(6, 8)), range(3))
    sheet = contact_sheet(batch, columns=2, zoom=2, patch=8)
    assert sheet.width == 2 * (224 + 8)
    assert (255, 0, 0) in {colour for _, colour in sheet.getcolors(1 << 20)}
    save_contact_sheet(batch, tmp_path / "pages.png")
    with Image.open(tmp_path / "pages.png") as saved:
        assert saved.size[0] == 4 * (224 + 8)
