"""Files: written atomically, pickles read without running code, npy and zip in place."""
