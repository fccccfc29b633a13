from reference import by_folder, out_of_the_ordinary


def test_pictures_stand_by_folder_in_their_order():
    files = ["test/b/2.png", "test/b/1.png", "test/a/1.png", "test/b/3.png"]
    assert by_folder(files, [1, 1, 0, 1]) == [
        {"folder": "test/b", "label": 1, "files": ["2.png", "1.png"]},
        {"folder": "test/a", "label": 0, "files": ["1.png"]},
        {"folder": "test/b", "label": 1, "files": ["3.png"]},
    ]


def test_only_wrong_answers_and_small_margins_are_written():
    assert out_of_the_ordinary([0, 2, 2], [5.0, 0.00041234, 0.1], [0, 1, 2]) == {
        "wrong": {1: 2},
        "margins": {1: 0.00041},
    }
