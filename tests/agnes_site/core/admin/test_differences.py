from agnes_site.core.admin import difference


def test_shows_the_old_beside_the_new():
    text = difference({"name": "a", "same": 1}, {"name": "<b>", "same": 1})

    assert '<del class="ag-removed">a</del> <ins class="ag-added">&lt;b&gt;</ins>' in text
    assert "same" not in text


def test_compares_long_texts_by_line():
    old = "\n".join(f"SELECT {n}," for n in range(40))

    text = difference({"query": old}, {"query": old.replace("SELECT 20,", "SELECT twenty,")})

    assert '<span class="ag-removed">-SELECT 20,</span>' in text
    assert '<span class="ag-added">+SELECT twenty,</span>' in text
    assert "SELECT 39" not in text


def test_leaves_out_what_is_new_and_empty():
    assert difference(None, {"owner": "", "options": {}, "days": None}) == ""
    assert "is_paused" in difference(None, {"is_paused": False})


def test_shows_what_was_emptied():
    text = difference({"owner": "ana@example.com"}, {"owner": ""})

    assert '<ins class="ag-added">empty</ins>' in text
